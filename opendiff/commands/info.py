"""`python -m opendiff info`: versions, weights and devices."""

from __future__ import annotations

import argparse

from opendiff.commands.parsers import Commands


def add_command(commands: Commands) -> None:
    parser = commands.add_parser("info", help="versions, weights and devices")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    import platform

    import torch

    from opendiff.api import load_model
    from opendiff.area import tiles_bounds
    from opendiff.demo import REGIONS, DemoSource, source_name
    from opendiff.generator import SHIPPED
    from opendiff.storage.checksums import file_checksum
    from opendiff.storage.shipped import CHECKPOINTS

    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"CUDA device: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
    for path in sorted(CHECKPOINTS.glob("*.safetensors")):
        print(f"{path.name}  {path.stat().st_size / 1e6:.2f} MB  {file_checksum(path)}")
    for name in SHIPPED:
        model = load_model(name, device="cpu").model
        count = sum(parameter.numel() for parameter in model.parameters())
        print(
            f"model {name}: {count:,} parameters, {model.config.steps} steps, "
            f"guidance scale {model.config.guidance_scale:g}"
        )
    for region in REGIONS:
        source = source_name(region)
        tiles = DemoSource(source).covered_tiles()
        box = ",".join(f"{edge:.3f}" for edge in tiles_bounds(tiles))
        print(f"bundled region {source}: {len(tiles)} tiles, {box} (W,S,E,N)")
