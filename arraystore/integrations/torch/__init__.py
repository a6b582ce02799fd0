"""PyTorch: a store as a `Dataset` for a `DataLoader`, and batches of its own loader as tensors.

Needs torch, which arraystore does not install by itself.
"""

from arraystore.integrations.torch.batches import Batches
from arraystore.integrations.torch.dataset import Dataset, collate

__all__ = ["Batches", "Dataset", "collate"]
