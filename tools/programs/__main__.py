"""Gets every program; prints where each is."""

from programs import helm, kindconfig, kubectl, podstreams, prometheus
from programs.chromium import chromium

for path in (helm(), kindconfig(), podstreams(), kubectl(), prometheus(), chromium()):
    print(path)
