"""PSNR and SSIM against closed forms and the definition written out."""

import math

import pytest
import torch

from aetrain.evaluation.quality import has_ssim, psnr, ssim


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 2, 20, 17, generator=generator, dtype=torch.float64)
    return x, (x + 0.2 * torch.randn(x.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)


def test_psnr_of_a_constant_error():
    x = torch.rand(4, 3, 5, 5)
    assert psnr(x, x + 0.1) == pytest.approx([20.0] * 4, rel=1e-4)  # an error of a tenth of the peak
    assert psnr(x, x).tolist() == [math.inf] * 4


def test_ssim_is_the_definition_written_out(pair):
    x, y = pair
    place = torch.arange(11, dtype=torch.float64) - 5
    w = torch.exp(-(place[:, None] ** 2 + place[None, :] ** 2) / (2 * 1.5**2))
    w /= w.sum()
    for image in range(3):
        found = []
        for channel in range(2):
            for top in range(20 - 10):
                for left in range(17 - 10):
                    a, b = (part[image, channel, top : top + 11, left : left + 11] for part in (x, y))
                    ma, mb = (w * a).sum(), (w * b).sum()
                    va, vb = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum()
                    covariance = (w * (a - ma) * (b - mb)).sum()
                    found.append((2 * ma * mb + 1e-4) * (2 * covariance + 9e-4)
                                 / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))  # fmt: skip
        assert float(ssim(x, y)[image]) == pytest.approx(float(torch.stack(found).mean()), rel=1e-10)


def test_ssim_of_constant_images_compares_their_means():
    x, y = torch.full((1, 1, 28, 28), 0.6), torch.full((1, 1, 28, 28), 0.3)
    assert float(ssim(x, y)) == pytest.approx((2 * 0.18 + 1e-4) / (0.36 + 0.09 + 1e-4), rel=1e-5)


def test_ssim_is_symmetric_and_one_for_equal_images(pair):
    x, y = pair
    torch.testing.assert_close(ssim(x, y), ssim(y, x))
    torch.testing.assert_close(ssim(x, x), torch.ones(3, dtype=torch.float64))
    assert (ssim(x, 1 - x) < 0).all()  # structure turned round


@pytest.mark.parametrize("side", [3, 8, 10])
def test_small_images_have_a_smaller_window(side):
    x = torch.rand(2, 1, side, side)
    assert ssim(x, x).tolist() == pytest.approx([1, 1])
    assert (ssim(x, 1 - x) < 0.5).all()


def test_points_of_the_plane_have_no_structure():
    assert not has_ssim((1, 1, 2))
    with pytest.raises(ValueError, match="3x3"):
        ssim(torch.rand(2, 1, 1, 2), torch.rand(2, 1, 1, 2))
