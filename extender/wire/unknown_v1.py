"""Fields of a pod that `modelled` does not know: of a newer Kubernetes, they may mean anything."""

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from extender.core.model.errors import WireError
from extender.core.model.modelled import POD_SPEC, VOLUME_SOURCES
from extender.core.model.objects import Pod


class _Pod(Struct, frozen=True):
    spec: dict[str, Raw] = {}


_pod = msgspec.json.Decoder(_Pod)
_volumes = msgspec.json.Decoder(list[dict[str, Raw]] | None)


def with_unknown(pod: Pod, body: bytes) -> Pod:
    """A pod with the fields of `body`, which it was read from, that nobody knows among those that are not counted.

    Raises:
        WireError: the body does not decode.
    """
    try:
        spec = _pod.decode(body).spec
        volumes = (_volumes.decode(spec["volumes"]) if "volumes" in spec else None) or ()
    except ValueError as error:
        raise WireError(f"a pod does not decode: {error}") from error
    unknown = [f"spec.{name}" for name in spec if name not in POD_SPEC]
    sources = {name for volume in volumes for name in volume if name != "name"}
    unknown += [f"spec.volumes[].{name}" for name in sorted(sources) if name not in VOLUME_SOURCES]
    if not unknown:
        return pod
    demands = pod.constraints
    return replace(pod, constraints=replace(demands, unmodelled=(*demands.unmodelled, *unknown)))
