"""The training loop of most tutorials, written plainly: what `speed.py` compares with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from aetrain.data.mnist import default_root


class TextbookVAE(nn.Module):
    """The 784-400-20 VAE as tutorials write it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x: Tensor) -> Tensor:  # the summed loss of a batch
        x = x.view(-1, 784)
        h = F.relu(self.fc1(x))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        x_hat = torch.sigmoid(self.fc4(F.relu(self.fc3(z))))
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return F.binary_cross_entropy(x_hat, x, reduction="sum") + kl


class Textbook:
    """The loop of most tutorials."""

    def __init__(self, model: nn.Module, batch_size: int, where: torch.device, indices: Tensor):
        self.model, self.where = model.to(where), where
        mnist = datasets.MNIST(str(default_root()), train=True, transform=transforms.ToTensor())
        self.dataset = Subset(mnist, indices.tolist())
        self.loader = DataLoader(self.dataset, batch_size=batch_size, shuffle=True, drop_last=True)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        self.batches = iter(())
        self.total = 0.0  # of the loss, summed over images

    def run(self, steps: int) -> None:
        for _ in range(steps):
            batch = next(self.batches, None)
            if batch is None:
                self.batches = iter(self.loader)
                batch = next(self.batches)
            x = batch[0].to(self.where)
            self.optimizer.zero_grad()
            out = self.model(x)
            loss = out if isinstance(out, Tensor) else out["loss"].sum()
            (loss / len(x)).backward()
            self.optimizer.step()
            self.total += loss.item()
