import sys
from pathlib import Path

# Helpers that several of these tests share: image_bombs, rvl_packer.
sys.path.insert(0, str(Path(__file__).parent))
