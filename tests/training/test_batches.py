import torch

from aetrain.data.split import Split
from aetrain.training.batches import Batches


def split(n=103):
    images = torch.arange(n, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    return Split(images, torch.arange(n))


def test_an_epoch_shows_each_image_once_and_drops_the_short_batch():
    batches = Batches(split(), 10, seed=0)
    assert batches.per_epoch == 10
    labels = torch.cat([batches.get(step)[1] for step in range(10)])
    assert len(labels.unique()) == 100
    x, y = batches.get(3)
    torch.testing.assert_close(x.flatten(), y / 255)  # images and labels stay together, images in [0, 1]


def test_a_batch_depends_on_seed_and_step_alone():
    one, other = Batches(split(), 10, seed=0), Batches(split(), 10, seed=0)
    for step in range(25):
        one.get(step)
    for step in (24, 3, 13):
        assert torch.equal(one.get(step)[1], other.get(step)[1])
    assert not torch.equal(one.get(0)[1], one.get(10)[1])
    assert not torch.equal(one.get(0)[1], Batches(split(), 10, seed=1).get(0)[1])


def test_dynamic_binarization_is_anew_each_time_with_the_pixel_as_probability():
    images = torch.full((64, 1, 28, 28), 51, dtype=torch.uint8)  # 0.2
    batches = Batches(Split(images, torch.zeros(64)), 64, seed=0, binarize=True)
    torch.manual_seed(0)
    first, second = batches.get(0)[0], batches.get(0)[0]
    assert set(first.unique().tolist()) == {0.0, 1.0} and not torch.equal(first, second)
    assert abs(first.mean().item() - 0.2) < 4 * (0.16 / first.numel()) ** 0.5
