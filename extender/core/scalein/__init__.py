"""Which pods leave first when a workload shrinks, and the deletion costs that make it keep the split."""
