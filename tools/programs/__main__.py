"""Gets every program; prints where each is."""

from programs import helm, karpenter, kindconfig, kubectl, podstreams, prometheus
from programs.chromium import chromium

for path in (helm(), kindconfig(), podstreams(), karpenter(), kubectl(), prometheus(), chromium()):
    print(path)
