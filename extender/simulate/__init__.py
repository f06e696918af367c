"""A cluster in virtual time: what becomes of workloads under a policy, over a day of spot terminations.

Nothing here decides where a pod goes, which pod is moved or which seat a pod has: this cluster asks the controllers of
`extender.core` that the service runs, of a state that is fed by a watch with a lag. What
surrounds them (controllers, scheduler, kubelet, budgets, eviction API, machines that come and go) is modelled here, as
far as it matters to them.

Deterministic: randomness comes from a seed alone, and the same seed gives the same result to the byte. No module here
does I/O, looks at a clock or starts a thread. It may import `core`, `wire` and `settings`.
"""
