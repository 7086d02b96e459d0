"""PAD's training step in plain PyTorch, the way instance discrimination is usually written.

The whole [B, N] matrix of logits, softmax and masks, autograd throughout. Only for comparison.
"""

import torch
from torch import nn
from torch.nn import functional


class AlexNet(nn.Module):
    """The same network as ``pad_jax.models.alexnet.AlexNet`` with the small stem."""

    def __init__(self, channels, size, widths, kernels, fc_widths, embedding_dim=128):
        super().__init__()
        layers = []
        for i, (width, kernel) in enumerate(zip(widths, kernels, strict=True), start=1):
            layers += [
                nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
            if i in (1, 2, 5):
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                size = -(-size // 2)
        layers.append(nn.Flatten())
        features = channels * size * size
        for width in fc_widths:
            layers += [nn.Linear(features, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
            features = width
        self.layers = nn.Sequential(*layers, nn.Linear(features, embedding_dim))

    def forward(self, x):
        return functional.normalize(self.layers(x))


def create_step(
    encoder, memory, group_id, temperature=0.1, hpe_weight=0.8, rate=0.5, autocast=None
):
    """A training step: f(index [B], views float32 [2 B, C, H, W]) -> loss [].

    With ``autocast``, a torch.dtype, the encoder runs in that as far as PyTorch thinks it safe.
    """
    device = memory.device.type
    optimizer = torch.optim.SGD(
        encoder.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4, nesterov=True
    )

    def step(index, views):
        with torch.autocast(device, dtype=autocast, enabled=autocast is not None):
            embeddings = encoder(views)
        embeddings, positives = embeddings.float().chunk(2)
        log_p = functional.log_softmax(embeddings @ memory.T / temperature, dim=1)
        log_p_hard = functional.log_softmax(positives @ memory.T / temperature, dim=1)
        in_group = group_id[index][:, None] == group_id
        scs = -(log_p.exp() * in_group).sum(1).log().mean()
        hpe = functional.kl_div(log_p_hard, log_p, reduction="batchmean", log_target=True)
        loss = scs + hpe_weight * hpe
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            rows = (1 - rate) * memory[index] + rate * embeddings
            memory[index] = functional.normalize(rows)
        return loss.detach()

    return step
