"""A small generator that redraws a picture, and a discriminator of patches."""

import torch
from torch import nn


def initialise(layer):
    """Draw a layer's weights as DCGAN does."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.05)
        nn.init.zeros_(layer.bias)


class Generator(nn.Module):
    """Two steps down, two up, and a skip between."""

    def __init__(self, channels, dropout):
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(1, channels, 4, 2, 1), nn.LeakyReLU(0.2))
        self.down2 = nn.Sequential(nn.Conv2d(channels, 2 * channels, 4, 2, 1), nn.LeakyReLU(0.2))
        self.up1 = nn.Sequential(nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1), nn.ReLU(), nn.Dropout(dropout))
        self.up2 = nn.ConvTranspose2d(2 * channels, 1, 4, 2, 1)

    def forward(self, source):
        outer = self.down1(source)
        inner = self.up1(self.down2(outer))
        return torch.tanh(self.up2(torch.cat([inner, outer], dim=1)))


class Discriminator(nn.Module):
    """Says of each patch of a pair whether its right side was drawn or generated."""

    def __init__(self, channels):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, channels, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Dropout2d(0.1),
            nn.Conv2d(channels, 2 * channels, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * channels, 1, 3, 1, 1),
        )

    def forward(self, source, target):
        return self.net(torch.cat([source, target], dim=1))
