"""Every reason that an Event of ours can have, with what its reader should do: the recorder takes no others.

They are few and constant, so that Events can be counted and filtered by them. Where an Event is about a state of things
its text is constant too: it holds no count or time, which would make another Event of the same.
"""

from enum import Enum
from typing import Literal, Self


class EventReason(Enum):
    """`value` is the Event's reason.

    `about` is the object it is posted on; `type` the Event's type; `when` and `what_to_do` are for its reader.
    """

    about: str
    type: Literal["Normal", "Warning"]
    when: str
    what_to_do: str

    def __new__(cls, value: str, type_: Literal["Normal", "Warning"], about: str, when: str, what_to_do: str) -> Self:
        """Attach the columns to the member."""
        member = object.__new__(cls)
        member._value_ = value
        member.type, member.about, member.when, member.what_to_do = type_, about, when, what_to_do
        return member

    # Policies
    POLICY_INVALID = (
        "PolicyInvalid",
        "Warning",
        "workload, pod",
        (
            "An annotation, a label or a field of a policy object is wrong. The last valid policy keeps applying;"
            " without one pods are held on-demand or, where the key is no part of the split, keep it and are not moved."
        ),
        "Write the value as the Event on the workload says; the text names the object that has it.",
    )
    POLICY_VALID = (
        "PolicyValid",
        "Normal",
        "workload",
        "What `PolicyInvalid` told of has been put right: the policy applies as it is written.",
        "Nothing.",
    )
    POLICY_WARNING = (
        "PolicyWarning",
        "Warning",
        "workload",
        "An annotation is ignored: no such key, or a value without meaning; or all, as its kind cannot be read.",
        "Correct or remove it; or let Spotmix list and watch the kind. The rest of the policy applies meanwhile.",
    )
    INTERRUPTED_TOO_OFTEN = (
        "InterruptedTooOften",
        "Normal",
        "workload",
        "A Job has lost as many pods to interruptions as `interruptions.onDemandAfter` of its policy says.",
        "Nothing: its other pods go to on-demand.",
    )
    POLICY_UNACHIEVABLE = (
        "PolicyUnachievable",
        "Warning",
        "workload",
        "The policy asks for spot and gives no spot replica at this size, for half a minute or more.",
        "Nothing, if all on-demand is right; else change the keys that the text names, or the size.",
    )

    WORKLOAD_FAULT = (
        "SpotmixFault",
        "Warning",
        "workload, pod",
        "Spotmix met a fault of its own with this workload, and leaves it alone in what the text says.",
        "Report it, with the text and the workload's policy.",
    )

    # The configuration
    CONFIG_INVALID = (
        "ConfigInvalid",
        "Warning",
        "Spotmix's Deployment, or pod",
        "The configuration was changed while Spotmix runs, and is wrong: nothing of it is taken up.",
        "Put right what the text names; until then the configuration before it counts.",
    )
    CONFIG_RESTART = (
        "ConfigNeedsRestart",
        "Warning",
        "Spotmix's Deployment, or pod",
        "Settings were changed that only a restart takes up: their old values count, the rest was taken up.",
        "Restart it: `kubectl rollout restart`; `helm upgrade` does so by itself.",
    )

    # Nodes
    NODE_DOUBTFUL = (
        "NodeClassDoubtful",
        "Warning",
        "node",
        "A node looks like spot and no rule knows it, its marks contradict each other, or its class label is unknown.",
        "Label it `spotmix.io/capacity-class: spot` or `on-demand`, or add a rule to `classes.extraRules`.",
    )
    CLASS_UNNAMED = (
        "NodeClassUnnamed",
        "Warning",
        "node",
        "Nodes are of a class that no policy names: no managed replica is placed on them. Told on one of them.",
        "Name the class in `spec.classes` of a policy, or have `classes.extraRules` say that they are of another.",
    )
    NODE_ALONE = (
        "NodePoolUnknown",
        "Warning",
        "node",
        "A node has neither instance type nor zone, and a policy caps pools of its class: it is a pool of its own.",
        "Label it with `node.kubernetes.io/instance-type` and `topology.kubernetes.io/zone`.",
    )

    # Placement
    FALLBACK_TAKEN = (
        "FallbackTaken",
        "Normal",
        "workload, pod",
        "No node of a pod's class took it, and it was placed on one that stands in by the rule that the text names.",
        "Nothing: it is moved back when there is room. If it lasts, see why there are too few nodes of the class.",
    )
    CLASS_UNAVAILABLE = (
        "ClassUnavailable",
        "Warning",
        "workload, pod",
        "Pods are Pending: no node of their class takes them, nor one that may stand in (yet: `fallback-after`).",
        "Add nodes of the class, or write another `when-unsatisfiable`; `spotmix explain` tells of each node.",
    )
    POOLS_FULL = (
        "PoolsFull",
        "Warning",
        "workload, pod",
        "Pods are Pending: every pool that has room holds as many of the workload as `max-per-pool` allows.",
        "Add nodes in other zones or of other instance types, or raise the cap that the text names.",
    )
    LIMIT_REACHED = (
        "LimitReached",
        "Warning",
        "workload, pod",
        "Pods are Pending: their namespace holds as much of their class as a ClusterPlacementPolicy allows.",
        "Raise the limit that the text names, scale something down, or let another class stand in.",
    )
    CLASS_NOT_WRITTEN = (
        "ClassNotWritten",
        "Warning",
        "workload, pod",
        "A gated pod was let go without a class, and may go to any node: the text says why.",
        "As the text says; nothing, where its workload was taken out of Spotmix's hands on purpose.",
    )
    GATED_BY_OTHERS = (
        "GatedByOthers",
        "Normal",
        "workload, pod",
        "For a minute a pod has waited for others to take their scheduling gates away, such as a queue's.",
        "Nothing of Spotmix's: see whoever the gates belong to.",
    )

    CLASS_LABEL_UNKNOWN = (
        "ClassLabelUnknown",
        "Warning",
        "workload",
        "A class was written on pods, and no node or NodePool shows how its nodes are labelled: known labels count.",
        "Nothing, if they come up. Else say the label by `classes.requiredLabels`.",
    )
    POOL_CAP_NOT_KEPT = (
        "PoolCapNotKept",
        "Warning",
        "workload",
        "A class was written on pods of a workload with `max-per-pool`, which no requirement of nodes can keep.",
        "Spread the pods by `topologySpreadConstraints`, or have `spotmix.io/enforcement: extender`.",
    )

    # Moves
    MOVE_STARTED = (
        "MoveStarted",
        "Normal",
        "workload, pod",
        "A pod was evicted: there are more of its class than seats.",
        "Nothing.",
    )
    MOVE_BLOCKED = (
        "MoveBlocked",
        "Warning",
        "workload",
        "A surplus pod stays for `drift.blockedAfter`, and none is moved: the text says what blocks it.",
        "As the text says; [why not moved](../how-to/why-not-moved.md).",
    )
    INTERRUPTION_HANDLED = (
        "InterruptionHandled",
        "Normal",
        "workload, pod",
        "A spot node is about to be taken away, and pods leave it early. Once for each node and class they go to.",
        "Nothing.",
    )
    INTERRUPTION_BLOCKED = (
        "InterruptionBlocked",
        "Warning",
        "workload",
        "Its spot nodes are about to be taken away, and pods cannot leave early: the text says what keeps one of them.",
        "Let its budget allow a disruption, or make room; pods that stay are lost with the node, and replaced then.",
    )
    MOVED = (
        "Moved",
        "Normal",
        "workload, pod",
        "The replacement of a pod that was moved is Ready and of the class that was wanted; on it too.",
        "Nothing.",
    )
    MOVE_IN_VAIN = (
        "MoveInVain",
        "Warning",
        "workload",
        "The replacement landed on another class, did not become Ready in time, or never came. The next waits.",
        "See where it landed and why in the text; nothing, if that passes.",
    )
    MOVE_STUCK = (
        "MoveStuck",
        "Warning",
        "workload, pod",
        "An evicted pod is still there a minute after its grace period. It is not forced.",
        "Look at the pod's finalizers and its node.",
    )
    CIRCUIT_OPEN = (
        "CircuitOpen",
        "Warning",
        "workload",
        "Several moves were in vain; no other such move is made for `drift.circuitReset`.",
        "Put right what the `MoveInVain` Events say; an edit of the policy starts anew.",
    )
    WOULD_MOVE = (
        "WouldMove",
        "Normal",
        "workload",
        "As `MoveStarted`, in a dry run (`mode: audit`, `drift.readOnly`).",
        "Nothing; turn the dry run off to have it done.",
    )
    BUDGETS_OVERLAP = (
        "BudgetsOverlap",
        "Warning",
        "workload",
        "Several PodDisruptionBudgets select the same pods, so that the API server refuses every eviction of them.",
        "Let one budget select each pod.",
    )
    PROTECTION_MALFORMED = (
        "ProtectionMalformed",
        "Warning",
        "pod",
        "An opt-out annotation cannot be read, so the pod is not moved.",
        "Write `true`, `false` or a duration.",
    )
    HISTORY_UNREADABLE = (
        "HistoryUnreadable",
        "Warning",
        "workload",
        "What is stored of its earlier moves does not decode, so that none of its pods is moved.",
        "See [the store](moves.md).",
    )

    # Placeholders
    PLACEHOLDER_ASKED = (
        "PlaceholderAsked",
        "Normal",
        "workload",
        "A placeholder asks the autoscaler for a node, so that a pod can go to its class.",
        "Nothing.",
    )
    PLACEHOLDER_REFUSED = (
        "PlaceholderRefused",
        "Warning",
        "workload",
        "No node came for a placeholder, or no pod in its place. The next is asked for later, each time.",
        "See the autoscaler's Events and limits; nothing, if capacity is short for a while.",
    )
    PLACEHOLDER_DENIED = (
        "PlaceholderDenied",
        "Warning",
        "workload",
        "The API server lets no placeholder be made, so that only room that is there brings pods back to their class.",
        "As the text says: the PriorityClass `spotmix-placeholder`, a quota, a LimitRange or Pod Security.",
    )

    # Scale-in
    FOREIGN_COST = (
        "ForeignDeletionCost",
        "Normal",
        "workload",
        "A pod's deletion cost was set by somebody else and is left alone; a scale-in goes by it.",
        "Remove the annotation to have pods leave in the order of their seats.",
    )
