from pathlib import Path
import os
def find_assets() -> Path:
    return next(Path.home().glob(".cache/spotmix/controlplane/*"))
