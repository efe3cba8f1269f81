#!/usr/bin/env python3
"""A load of PyTorch's for bench/gpu/run: `torch_load.py train|decode --for SECONDS`.

    train   steps of a small convolutional network with residual blocks: forward, backward, optimizer
    decode  tokens of a small transformer, one at a time, each step replayed as a CUDA graph

Says "ready PID" when it has warmed up, goes on at a line on its standard input, and says a line of JSON at the end. Exit status 77 where there is no PyTorch with a GPU."""
import argparse
import json
import os
import sys
import time

try:
    import torch
    from torch import nn
except ImportError:
    print("python3 has no torch", file=sys.stderr)
    sys.exit(77)


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
                                  nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))

    def forward(self, x):
        return torch.relu(x + self.body(x))


def train_step():
    model = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), *[Block(64) for _ in range(6)], nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                          nn.Linear(64, 10)).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images, labels = torch.randn(64, 3, 64, 64, device="cuda"), torch.randint(0, 10, (64,), device="cuda")

    def step():
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


class Layer(nn.Module):
    """One token attends to a cache of fixed length: a decode step has the same shape each time, as graphs want it."""

    def __init__(self, width, heads, context):
        super().__init__()
        self.heads, self.width = heads, width
        self.to_qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.register_buffer("cache", torch.randn(2, heads, context, width // heads))

    def forward(self, x):
        q, k, v = self.to_qkv(self.norm_1(x)).view(3, self.heads, 1, self.width // self.heads)
        self.cache[0, :, -1:] = k
        self.cache[1, :, -1:] = v
        attended = nn.functional.scaled_dot_product_attention(q, self.cache[0], self.cache[1])
        x = x + self.out(attended.reshape(1, self.width))
        return x + self.down(nn.functional.gelu(self.up(self.norm_2(x))))


def decode_step():
    width = 1024
    model = nn.Sequential(*[Layer(width, 16, 1024) for _ in range(12)]).half().cuda().eval()
    token = torch.randn(1, width, device="cuda", dtype=torch.half)
    with torch.no_grad():
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                model(token)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            model(token)
    return graph.replay


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("load", choices=["train", "decode"])
    parser.add_argument("--for", dest="seconds", type=float, default=10)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("PyTorch finds no GPU", file=sys.stderr)
        sys.exit(77)
    torch.manual_seed(1)
    step = train_step() if options.load == "train" else decode_step()
    for _ in range(30):
        step()
    torch.cuda.synchronize()
    print("ready", os.getpid(), flush=True)
    sys.stdin.readline()
    begin, steps = time.monotonic(), 0
    while time.monotonic() - begin < options.seconds:
        for _ in range(4):  # waits as rarely as a loop that looks at its loss does
            step()
        steps += 4
        torch.cuda.synchronize()
    print(json.dumps({"steps": steps, "seconds": time.monotonic() - begin}), flush=True)


main()
