"""From sources to a store: plan, pack, commit; and the proof that a store is whole."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    # `arraystore.ingest` is a public function and, once a module of this package is imported, this package too:
    # Python binds it in its parent, whatever stood there. So the package can be called like the function.
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from arraystore.ingest.run import ingest

        return ingest(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
