"""The Kubernetes API: client, list+watch, discovery, status patches, Events. Imports `wire` and `core` alone.

How the runtime wires it (decoders come from `extender.wire`, the sink is `ClusterState.apply`)::

    client = await ApiClient.connect(settings.kubeconfig)
    feed = ClusterFeed(client, decoder_for, state.apply, report, on_unavailable=unavailable)
    feed.start()
    await feed.wait_synced()
    feed.ensure(owner_ref)  # a kind met in an ownerReference: discovered, then watched
    feed.health()  # {"pods": Health(synced=True, last_contact=..., ...), ...}
    feed.faults(180.0)  # nothing, while pods can be placed
    queue = PatchQueue(PodPatches(client), report)
    queue.start()
    queue.nominate(PodId(namespace, name, uid), node)
    recorder = EventRecorder(client, report)
    recorder.start()
    recorder.emit(Regarding(kind, api_version, namespace, name, uid), EventReason.MOVED, action, note)
    ...
    await feed.stop()
    await queue.drain(5.0)
    await recorder.drain(5.0)
    await client.close()
"""
