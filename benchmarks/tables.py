"""The tables in docs/*.md, made from results/*.json.

python -m benchmarks.tables           refresh them, between <!-- table: name --> and <!-- end -->
python -m benchmarks.tables --check   change nothing; exit 1 where one differs from the results
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks import results

DOCS = results.FOLDER.parent / "docs"
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Rows = list[dict[str, Any]]


# --- numbers


def plain(value: float, digits: int) -> str:
    """So many significant digits, no exponent, no trailing zeros: 0.00001, 105.74, 38."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def ms(value: float) -> str:
    """Milliseconds: 9.52, 13.7, 131.2."""
    text = f"{value:.2f}" if value < 10 else f"{value:.4g}"
    return text if "." in text else f"{text}.0"


def with_unit(text: str, unit: str) -> str:
    return f"{text}{unit}" if unit == "°" else f"{text} {unit}" if unit == "%" else text


def with_spread(row: dict[str, Any]) -> str:
    """mean ± standard deviation (n = seeds), with as many decimals of the mean as the deviation has."""
    if row["mean"] is None:
        return "not yet run"
    mean, n = plain(row["mean"], 5), len(row["seeds"])
    if row["std"] is not None:
        std = plain(row["std"], 2)
        decimals = len(std.partition(".")[2])
        mean = f"{row['mean']:.{decimals}f} ± {std}"
    return f"{with_unit(mean, row['unit'])} ({'exact' if row.get('exact') else f'n = {n}'})"


# --- the tables


def reproduction(rows: Rows) -> Iterable[Sequence[str]]:
    yield "experiment", "quantity", "published", "reproduced", "tolerance", "verdict", "minutes"
    before = None
    for row in rows:
        first = row["experiment"] != before
        before = row["experiment"]
        yield (
            f"`{row['experiment']}`" if first else "",
            row["quantity"],
            row["published"],
            with_spread(row),
            row["tolerance"],
            {"missed": "**missed**", "not yet run": "–"}.get(row["verdict"], row["verdict"]),
            f"{row['minutes']:.{1 if row['minutes'] < 10 else 0}f}" if first and row["minutes"] is not None else "",
        )


def seeds(rows: Rows) -> Iterable[Sequence[str]]:
    yield "experiment", "quantity", "seeds 0, 1, …"
    for row in rows:
        if row["values"] and len(row["values"]) > 1:
            decimals = max(len(plain(value, 5).partition(".")[2]) for value in row["values"])
            yield f"`{row['experiment']}`", row["quantity"], ", ".join(f"{v:.{decimals}f}" for v in row["values"])


def speed(rows: Rows) -> Iterable[Sequence[str]]:
    yield (
        "vae 784-400-20", "images/s", "ms per step: median (min – max)", "× faster than textbook", "× own floor",
        "× JAX",
    )  # fmt: skip
    for row in rows:
        if row["case"] in ("vae-128", "vae-1024") and row["ms"] is not None and row["contender"] not in INFERENCE:
            yield (
                f"batch {row['batch_size']}: {row['contender']}",
                f"{row['images/s']:,.0f}",
                ms(row["ms"]) if row["min"] is None else f"{ms(row['ms'])} ({ms(row['min'])} – {ms(row['max'])})",
                "1" if row["contender"] == "textbook" else ratio(row, "textbook/this"),
                "1" if row["contender"].startswith("floor") else ratio(row, "this/floor"),
                "1" if row["contender"].startswith("jax") else ratio(row, "this/jax"),
            )


INFERENCE = ("forward fp32", "evaluate fp32")


def speed_models(rows: Rows) -> Iterable[Sequence[str]]:
    yield (
        "batch 128", "textbook: ms", "fp32: ms", "× textbook", "× own floor", "× JAX", "bf16: ms", "× textbook",
        "× own floor", "evaluation ÷ forward, per image",
    )  # fmt: skip
    cases: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        if "contender" in row:
            cases.setdefault(row["case"], {})[row["contender"]] = row
    for case, by in cases.items():
        if case in ("vae-128", "vae-1024"):
            continue
        cells = [case, ms(by["textbook"]["ms"])]
        for name in ("eager fp32", "eager bf16"):
            cells += [ms(by[name]["ms"]), ratio(by[name], "textbook/this"), ratio(by[name], "this/floor")]
            cells += [ratio(by[name], "this/jax")] if name == "eager fp32" else []
        yield [*cells, ratio(by["evaluate fp32"], "this/forward")]


def losses(rows: Rows) -> Iterable[Sequence[str]]:
    yield "epoch", "textbook loop", "aetrain", "apart", "JAX"
    for row in rows:
        if row["case"] == "loss per epoch":
            apart = f"{100 * row['difference']:.2f} %"
            jax = f"{row['jax']:.2f}" if "jax" in row else ""
            yield str(row["epoch"]), f"{row['textbook']:.2f}", f"{row['aetrain']:.2f}", apart, jax


def sweeps(rows: Rows) -> Iterable[Sequence[str]]:
    yield (
        "`hydra.launcher.mode`", "seconds: median (min – max)", "× faster than one after another",
        "largest difference in test loss",
    )  # fmt: skip
    for row in rows:
        if "speedup" in row and row["overrides"] == rows[0]["overrides"]:  # one sweep, in all ways
            apart = row["largest_difference"]
            yield (
                f"`{row['mode']}`",
                f"{row['median']:.0f} ({row['min']:.0f} – {row['max']:.0f})",
                plain(row["speedup"], 3),
                "" if apart is None else "0" if apart == 0 else f"{100 * apart:.2f} %",
            )


def costs(rows: Rows) -> Iterable[Sequence[str]]:
    yield "cost", "median (min – max)", "target"
    for row in rows:
        median, least, most = (f"{row[key]:.2f}" for key in ("median", "min", "max"))
        target = "–" if row["target"] is None else f"{row['target']} {row['unit']}"
        missed = row["target"] is not None and row["median"] > row["target"]
        value = f"{median} {row['unit']} ({least} – {most})"
        yield row["what"], f"**{value}**" if missed else value, target


def anomaly(rows: Rows) -> Iterable[Sequence[str]]:
    yield "normal digit", *(f"`score={score}`" for score in SCORES), "Deep SVDD"
    for row in rows:
        found = [row["auroc"][score] for score in SCORES]
        cells = (f"{s['mean']:.1f}" + ("" if s["std"] is None else f" ± {s['std']:.1f}") for s in found)
        yield row["digit"], *cells, DEEP_SVDD[int(row["digit"])]
    means = [statistics.mean(row["auroc"][score]["mean"] for row in rows) for score in SCORES]
    yield "mean", *(f"{mean:.1f}" for mean in means), f"{statistics.mean(map(float, DEEP_SVDD)):.1f}"


SCORES = ("elbo", "recon", "latent")
# Ruff et al. 2018, table 1, One-Class Deep SVDD on MNIST, AUC in percent by normal digit, over ten seeds.
DEEP_SVDD = ("98.0", "99.7", "91.7", "91.9", "94.9", "88.5", "98.3", "94.6", "93.9", "96.5")


def spread(found: dict[str, Any] | None, decimals: int) -> str:
    if found is None:
        return "–"
    return f"{found['mean']:.{decimals}f}" + ("" if found["std"] is None else f" ± {found['std']:.{decimals}f}")


def disentangling(rows: Rows) -> Iterable[Sequence[str]]:
    yield "model", "β", "recon", "kl", "total correlation", "MIG", "gain in MIG of `beta_tcvae` at this reconstruction"
    for row in rows:
        cells = [spread(row[name], 1) for name in ("recon", "kl")]
        cells += [spread(row["total_correlation"], 2), spread(row["mig"], 3)]
        gain = spread(row["gain"], 3) + f" (n = {len(row['gain']['values'])})" if row.get("gain") else ""
        yield f"`{row['model']}`", f"{row['beta']:g}", *cells, gain
    if not rows:
        yield "not yet run", *["–"] * 6


def samples(rows: Rows) -> Iterable[Sequence[str]]:
    yield "images", "distance of samples", "distance of reconstructions", "minutes per run"
    for row in rows:
        minutes = f"{row['minutes']:.1f}" if "minutes" in row else ""
        yield row["name"], spread(row["samples"], 2), spread(row.get("reconstructions"), 2), minutes
    if not rows:
        yield "not yet run", *["–"] * 3


def gpu_speed(rows: Rows) -> Iterable[Sequence[str]]:
    kinds = ("eager", "graph", "compiled graph")
    yield "case", "precision", *(f"{kind}: ms" for kind in kinds), "images/s, fastest", "GPU busy"
    measured = [row for row in rows if row["step"] == "speed"]
    for case in dict.fromkeys(row["case"] for row in measured):
        for precision in ("fp32", "tf32", "bf16", "fp16"):
            found = {
                row["contender"].removesuffix(f" {precision}"): row
                for row in measured
                if row["case"] == case and row["contender"].endswith(precision)
            }
            if found:
                fastest = min(found.values(), key=lambda row: row["ms"])
                yield (
                    case, precision, *(ms(found[kind]["ms"]) if kind in found else "" for kind in kinds),
                    f"{fastest['images/s']:,.0f}", f"{fastest['busy']:.0%}",
                )  # fmt: skip


def gpu_stacks(rows: Rows) -> Iterable[Sequence[str]]:
    yield "runs in the stack", "eager: ms per step", "graph: ms per step", "graph: ms per run", "MiB"
    cases: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row["step"] == "stacks" and row["case"].startswith("K = "):
            cases.setdefault(row["case"].removeprefix("K = "), {})[row["contender"]] = row
    for k, by in cases.items():
        if by.keys() < {"eager", "graph"}:
            continue  # it was cut in between
        graph = by["graph"]
        yield k, ms(by["eager"]["ms"]), ms(graph["ms"]), f"{graph['ms'] / int(k):.3f}", f"{graph['MiB']:,.0f}"


def ratio(row: dict[str, Any], key: str) -> str:
    return "" if row.get(key) is None else f"{row[key]:.2f}"


# Name in the marker -> file of results, what makes the table of its rows, and whether a line says where they are from.
TABLES: dict[str, tuple[str, Callable[[Rows], Iterable[Sequence[str]]], bool]] = {
    "reproduction": ("reproduction", reproduction, True),
    "reproduction-seeds": ("reproduction", seeds, False),
    "speed": ("speed", speed, True),
    "speed-models": ("speed", speed_models, False),
    "speed-losses": ("speed", losses, False),
    "sweeps": ("sweeps", sweeps, True),
    "costs": ("costs", costs, True),
    "anomaly": ("anomaly", anomaly, True),
    "disentangling": ("disentangling", disentangling, True),
    "samples": ("samples", samples, True),
    "gpu-speed": ("gpu", gpu_speed, True),
    "gpu-stacks": ("gpu", gpu_stacks, False),
}


def markdown(name: str) -> str:
    """A table's lines. Raises KeyError for a name that is none."""
    file, make, sourced = TABLES[name]
    content = results.read(results.FOLDER / f"{file}.json")
    header, *lines = make(content["rows"])
    table = [f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in (header, ["---"] * len(header), *lines)]
    return "\n".join([*table, "", *(origins(content) if sourced else [])])


def origins(content: dict[str, Any]) -> Iterable[str]:
    """Where the rows were measured; with their names where they were not all measured together."""
    groups: dict[str, list[str]] = {}
    for row in content["rows"]:
        if row["environment"] is not None:
            names = groups.setdefault(origin(content["environments"][row["environment"]]), [])
            name = f"`{row.get('name') or row.get('step') or row.get('case') or row.get('mode')}`"
            names += [name] * (name not in names)
    for where, names in groups.items():
        yield f"{'Measured' if len(groups) == 1 else ', '.join(names) + ': measured'} {where}."
        yield ""


def origin(environment: dict[str, Any]) -> str:
    commit, versions = environment["commit"], environment["versions"]
    named = [f"{label} {versions[package]}" for package, label in PACKAGES.items() if versions.get(package)]
    place = f"on {environment['date']} at commit{'s' * (' and ' in commit)} {commit}"
    return f"{place}, {environment['device']}, {', '.join(named)}"


PACKAGES = {"python": "Python", "torch": "torch"}


def refreshed(text: str) -> str:
    """A page with its tables made anew."""
    return MARKED.sub(lambda found: found[1] + markdown(found[2]) + found[3], text)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(argv)
    stale = []
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if (fresh := refreshed(text)) != text:
            stale.append(path)
            if not options.check:
                Path(path).write_text(fresh, encoding="utf-8")
    for path in stale:
        print(f"{path}: {'differs from results/; python -m benchmarks.tables' if options.check else 'refreshed'}")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
