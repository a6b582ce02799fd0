"""From sources to a store: plan, pack, commit; and the proof that a store is whole."""
