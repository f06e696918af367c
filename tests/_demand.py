import sys,time,gc
from bench.planchild import Stage, demands, LATER
from extender.core.outlook import *
from extender.core.whatif import what_if_in_steps
from extender.core.classes import SPOT
s=Stage(2000,4000,15)
gc.collect(); gc.freeze()
if len(sys.argv)>1: gc.disable()
steps=what_if_in_steps(s.state, Change(lost_pools=(LostPool(SPOT),)), LATER)
seen=[]
def where(g):
    out=[]
    while g is not None and hasattr(g,'gi_frame') and g.gi_frame:
        out.append((g.gi_code.co_name,g.gi_frame.f_lineno)); g=g.gi_yieldfrom
    return out
while True:
    w=where(steps); t=time.process_time()
    try: next(steps)
    except StopIteration: break
    seen.append((time.process_time()-t, w))
seen.sort(key=lambda x:-x[0])
for d,w in seen[:10]: print(f"{d*1e3:.1f}",w)
print(sum(d for d,_ in seen), len(seen))
