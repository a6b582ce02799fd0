"""`BIOSCAN5M` and `BIOSCAN1M`: what `bioscan_dataset` 1.3.0 offers, over a store or over the published files."""

from __future__ import annotations

from arraystore.integrations.bioscan.bioscan1m import BIOSCAN1M
from arraystore.integrations.bioscan.bioscan5m import BIOSCAN5M

__all__ = ["BIOSCAN1M", "BIOSCAN5M"]
