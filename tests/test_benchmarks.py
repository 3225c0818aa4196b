"""The programs that make the tables still run: each is started with its smallest sizes."""

import json
import subprocess

import pytest
import torch
import yaml

from tests.conftest import PYTHON, build


@pytest.mark.longer
def test_the_speed_benchmark_measures_every_contender(tmp_path):
    out = tmp_path / "speed.json"
    words = ["--cases", "ae", "--rounds", "1", "--seconds", "0.05", "--no-compile", "--out", str(out)]
    done = subprocess.run([PYTHON, "-m", "benchmarks.speed", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = json.dumps(json.loads(out.read_text()))
    assert all(name in text for name in ("textbook", "fp32", "bf16"))


@pytest.mark.longer
def test_the_gpu_program_goes_through_its_steps_on_the_cpu(tmp_path):
    out = tmp_path / "gpu.json"
    words = ["--dry", "--only", "equal,resume,published", "--minutes", "3", "--out", str(out)]
    done = subprocess.run([PYTHON, "-m", "benchmarks.gpu", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert {row["step"]: row["status"] for row in rows if row["case"] == "status"} == dict.fromkeys(
        ("equal", "resume", "published"), "done"
    )
    assert next(row for row in rows if row["contender"] == "resumed")["differing"] == []
    assert all(row["difference"] == 0 for row in rows if row["step"] == "equal" and "difference" in row)


@pytest.mark.longer
def test_what_a_run_costs_is_measured_and_makes_a_table(tmp_path):
    from benchmarks import costs, tables

    out = tmp_path / "costs.json"
    words = ["--only", "start", "sweep", "step", "--rounds", "1", "--out", str(out)]
    done = subprocess.run([PYTHON, "-m", "benchmarks.costs", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row for row in json.loads(out.read_text())["rows"]}
    assert rows.keys() == costs.WHAT.keys() - {"host"} and all(row["median"] > 0 for row in rows.values())
    assert rows["memory"]["median"] > 0.3  # GiB: torch alone takes as much
    header, *lines = tables.costs([{**rows["start"], "median": 2.5}, rows["step"]])
    assert len(header) == 3 and lines[0][1].startswith("**2.50 s") and lines[1][2] == "–"


def test_a_step_that_takes_too_long_is_cut_and_what_it_found_is_kept(tmp_path, monkeypatch):
    from benchmarks import gpu

    slow = 'import time; print(\'{"case": "a", "contender": null, "ms": 1}\', flush=True); time.sleep(60)'
    popen = subprocess.Popen
    monkeypatch.setattr(gpu.subprocess, "Popen", lambda command, **how: popen([PYTHON, "-c", slow], **how))
    told = gpu.done("speed", 2, True, tmp_path / "gpu.json", {"date": "2026-01-01", "commit": "x"})
    assert told == "cut after 2 s"
    (row,) = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert (row["step"], row["case"], row["ms"]) == ("speed", "a", 1)


def test_gains_are_taken_at_equal_reconstruction_seed_by_seed():
    from benchmarks.disentangling import Run, gains, rows

    def run(model, beta, seed, recon, mig):
        return Run(model, beta, seed, {"recon": recon, "kl": 5.0, "total_correlation": 0.1, "mig": mig})

    ours = [run("beta_vae", 4, 0, 110.0, 0.2), run("beta_vae", 4, 1, 90.0, 0.2), run("beta_vae", 4, 2, 300.0, 0.2)]
    theirs = [run("beta_tcvae", beta, seed, 100.0 + 20 * beta - 20 * seed, 0.3 * (1 + beta))
              for beta in (0, 1) for seed in (0, 1, 2)]  # fmt: skip
    assert gains(ours, theirs) == pytest.approx([0.45 - 0.2, 0.45 - 0.2])  # none has 300 between them
    first, *others = rows([*reversed(ours), *theirs])
    assert first["gain"]["mean"] == pytest.approx(0.25) and first["recon"]["values"] == [110.0, 90.0, 300.0]
    assert [(row["model"], row["beta"], "gain" in row) for row in others] == [
        ("beta_tcvae", 0, False), ("beta_tcvae", 1, False),
    ]  # fmt: skip


def test_runs_of_several_calls_carry_the_commits_and_devices_of_all(tmp_path):
    from benchmarks import results

    runs = [tmp_path / "below" / name for name in ("x", "y", "z")]
    for run, commit, device in zip(runs, ("a", "b", "a"), ("one", "one", "two"), strict=True):
        results.remember(run, {"commit": commit, "device": device, "command": run.name})
    found = results.remembered(runs)
    assert found == {"commit": "a and b", "device": "one and two", "command": "z"}
    assert results.joined([found, {"commit": "c", "device": "two"}]) == {
        "commit": "a and b and c",
        "device": "one and two",
    }


def test_of_a_sweeps_folder_only_the_protocols_runs_that_are_done_count(tmp_path):
    from benchmarks import disentangling

    def member(name, seed=0, status="done", beta=4.0, **metrics):
        (tmp_path / name).mkdir()
        config = {"model": {"name": "beta_vae", "beta": beta}, "seed": seed}
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(config))
        (tmp_path / name / "result.json").write_text(json.dumps({"status": status, "metrics": metrics}))

    whole = {f"test/{name}": 1.0 for name in disentangling.METRICS}
    member("0", **whole), member("1", seed=1, status="failed"), member("2", seed=9), member("3", beta=5.0)
    assert [run[:3] for run in disentangling.read(tmp_path)] == [("beta_vae", 4, 0)]
    member("4", **whole)
    with pytest.raises(SystemExit, match="two runs of the same"):
        disentangling.read(tmp_path)


def test_the_frechet_distance_of_gaussians_is_the_closed_form():
    from benchmarks.samples import frechet

    mean, spread = torch.tensor([1.0, -2.0, 0.0]).double(), torch.tensor([4.0, 1.0, 0.0]).double()
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    a, b = turn @ torch.diag(spread) @ turn.T, turn @ torch.diag(torch.ones(3).double()) @ turn.T
    # Of covariances with the same axes: the distance of the means and of the standard deviations.
    assert frechet((mean, a), (0 * mean, b)) == pytest.approx(5 + (2 - 1) ** 2 + 0 + 1)
    assert frechet((mean, a), (mean, a)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["vae", "dae", "sparse", "contractive"])
def test_the_programs_of_a_peer_have_the_same_objective(name):
    """On the same weights and images, without noise where there is some."""
    jax = pytest.importorskip("jax")
    from benchmarks import peers

    quiet = {"vae": ["model.z_in_evaluation=mean"], "dae": ["model.corruption_level=0"]}.get(name, [])
    net = build(f"model={name}", *quiet).eval()
    x = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    layers = iter(peers.PROGRAMS[name].sizes)
    params = {}
    with torch.no_grad():
        for part in (net.encoder, net.decoder):
            tied = part is net.decoder and name == "contractive"
            for layer in [None] if tied else part.layers:
                weight, bias = (None, part.biases[0]) if tied else (layer.weight, layer.bias)
                weight = torch.zeros(1, 784) if tied else weight.T
                params[next(layers)] = (jax.numpy.asarray(weight.numpy()), jax.numpy.asarray(bias.numpy()))
        expected = float(net(x)["loss"].mean())
    quietly = pytest.MonkeyPatch()
    quietly.setattr(peers, "MASKED", 0)
    quietly.setattr(peers.random, "normal", lambda key, shape: 0.0)
    try:
        found = float(peers.PROGRAMS[name].loss(params, jax.numpy.asarray(x.flatten(1).numpy()), jax.random.key(0)))
    finally:
        quietly.undo()
    assert found == pytest.approx(expected, rel=1e-5)
