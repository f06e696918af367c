{{- /* The schemas of both kinds of policies; what only one of them has is added in crds.yaml. */ -}}

{{- define "spotmix.labelSelector" -}}
type: object
default: {}
properties:
  matchLabels:
    description: Labels that an object has to have, each with this value.
    type: object
    maxProperties: 32
    additionalProperties:
      type: string
      maxLength: 63
  matchExpressions:
    description: Requirements that the labels of an object have to meet, all of them.
    type: array
    maxItems: 32
    x-kubernetes-list-type: atomic
    items:
      type: object
      required: [key, operator]
      properties:
        key:
          type: string
          minLength: 1
          maxLength: 317
        operator:
          type: string
          enum: [In, NotIn, Exists, DoesNotExist]
        values:
          type: array
          maxItems: 64
          x-kubernetes-list-type: atomic
          items:
            type: string
            maxLength: 63
      x-kubernetes-validations:
        - rule: "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : true"
          message: In and NotIn compare with values; add values, or write Exists or DoesNotExist
        - rule: "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 : true"
          message: Exists and DoesNotExist compare with nothing; remove values, or write In or NotIn
{{- end -}}

{{- define "spotmix.duration" -}}
type: string
maxLength: 32
x-kubernetes-validations:
  - rule: "self.matches('^(0|([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}(\\\\.[0-9]{1,9})?s)?)$') && size(self) > 0"
    message: write hours, minutes and seconds, such as "30s", "5m" or "1h30m"
  - rule: "!self.matches('^(0|([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}(\\\\.[0-9]{1,9})?s)?)$') || size(self) == 0 || duration(self) <= duration('87600h')"
    message: write at most "87600h", which is ten years
{{- end -}}

{{- define "spotmix.policySpec" -}}
selector:
  description: >-
    Which workloads the policy is for, by their labels or those of what controls them; all of them where it is empty.
    Whoever is matched is opted in, unless its label spotmix.io/enabled says "false".
  {{- include "spotmix.labelSelector" . | nindent 2 }}
priority:
  description: Of several policies of one kind that match a workload the one with the higher priority speaks for it, then the older.
  type: integer
  format: int32
  minimum: -1000000
  maximum: 1000000
  default: 0
count:
  description: >-
    What a ratio is over: each workload alone (Workload), all that match together (Policy), or the pods of batch jobs one
    after another (Runs); what keeps its replicas, such as a Deployment, is counted alone then.
  type: string
  enum: [Workload, Policy, Runs]
  default: Workload
classes:
  description: >-
    The capacity classes of the cluster's class rules, in order of preference where weights tie. Bases come first, then
    classes with a max and without a weight, then the weights.
  type: array
  minItems: 1
  maxItems: 16
  x-kubernetes-list-type: map
  x-kubernetes-list-map-keys: [name]
  x-kubernetes-validations:
    - rule: "self.exists(each, has(each.weight) && each.weight > 0)"
      message: "one class has to take what is left: give it a weight, such as {name: on-demand, weight: 100}"
    - rule: "size(self.filter(each, has(each.max) && type(each.max) == string)) <= 1"
      message: only one class may have a max in percent; write the others in replicas, such as max 4
  items:
    type: object
    required: [name]
    properties:
      name:
        description: The class.
        type: string
        minLength: 1
        maxLength: 63
        x-kubernetes-validations:
          - rule: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
            message: write the name of a class in lower case, such as spot or on-demand
      weight:
        description: The share of the replicas, beside the weights of the other classes. A class with a max and without a weight comes first.
        type: integer
        format: int32
        minimum: 0
        maximum: 10000
      base:
        description: The floor, in replicas, which is part of its share.
        type: integer
        format: int32
        minimum: 0
        maximum: 10000
      max:
        description: The cap, in replicas, such as 4, or, of one class, as a share of them, such as "80%".
        x-kubernetes-int-or-string: true
        minimum: 0
        maximum: 10000
        pattern: ^(100|[1-9]?[0-9])%$
      maxPerPool:
        description: The most replicas in one pool (instance type and zone), such as 4, or a share of them, such as "25%".
        x-kubernetes-int-or-string: true
        minimum: 1
        maximum: 10000
        pattern: ^(100|[1-9][0-9]?)%$
    x-kubernetes-validations:
      - rule: "!has(self.base) || !has(self.max) || type(self.max) != int || self.base <= int(self.max)"
        message: base is above max; lower base, or raise max
unsatisfiable:
  description: What becomes of pods whose class has no room.
  type: object
  properties:
    action:
      description: >-
        Fallback has the classes of to stand in for others, Any lets every class stand in for every other, Wait none.
      type: string
      enum: [Fallback, Any, Wait]
    after:
      description: How long a pod waits for its class first.
      {{- include "spotmix.duration" . | nindent 6 }}
    to:
      description: The classes that may stand in, the first to try first; on-demand alone where none are said.
      type: array
      minItems: 1
      maxItems: 16
      x-kubernetes-list-type: atomic
      items:
        type: string
        minLength: 1
        maxLength: 63
  x-kubernetes-validations:
    - rule: "!has(self.to) || (has(self.action) && self.action == 'Fallback')"
      message: "to says what stands in by action Fallback: write that action, or remove to"
    - rule: "!has(self.action) || self.action != 'Wait' || !has(self.after)"
      message: "by action Wait nothing stands in, ever: remove after, or write Fallback or Any"
moves:
  description: When pods on another class than their seat may be moved, and how many.
  type: object
  properties:
    schedule:
      description: When a window opens, as five cron fields; always open where there is none.
      type: string
      maxLength: 256
      x-kubernetes-validations:
        - rule: "self.matches('^\\\\s*(\\\\S+\\\\s+){4}\\\\S+\\\\s*$')"
          message: write five cron fields, such as "0 2 * * 1-5"
    duration:
      description: How long it stays open.
      {{- include "spotmix.duration" . | nindent 6 }}
    timeZone:
      description: Where the schedule is read, by the IANA name; UTC where none is said.
      type: string
      maxLength: 64
      x-kubernetes-validations:
        - rule: "self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')"
          message: write an IANA name, such as Europe/Berlin
    maxPerHour:
      description: Most voluntary moves of one workload in an hour.
      type: integer
      format: int32
      minimum: 0
      maximum: 10000
  x-kubernetes-validations:
    - rule: "has(self.schedule) == has(self.duration)"
      message: 'schedule and duration go together: write both, such as schedule: "0 2 * * *" and duration: 4h'
    - rule: "!has(self.timeZone) || has(self.schedule)"
      message: timeZone says nothing without schedule; add one, or remove it
interruptions:
  description: What becomes of Jobs whose pods are interrupted again and again.
  type: object
  required: [onDemandAfter]
  properties:
    onDemandAfter:
      description: After so many of its pods were lost to interruptions the remaining pods of a Job go to on-demand.
      type: integer
      format: int32
      minimum: 1
      maximum: 100
mode:
  description: Enforce, or Audit, which decides and reports and changes nothing.
  type: string
  enum: [Enforce, Audit]
{{- end -}}

{{- define "spotmix.policyStatus" -}}
description: How the policy is doing. Spotmix writes it.
type: object
properties:
  observedGeneration:
    description: The generation of the spec that the status is about.
    type: integer
    format: int64
  conditions:
    description: >-
      Accepted says whether the policy can be acted by, Converged whether every replica is on the class of its seat,
      Degraded whether a floor is breached or a value in force is wrong; WithinLimits whether none of its limits is
      reached, where it has some.
    type: array
    x-kubernetes-list-type: map
    x-kubernetes-list-map-keys: [type]
    items:
      type: object
      required: [type, status, reason, message, lastTransitionTime]
      properties:
        type:
          type: string
          maxLength: 316
        status:
          type: string
          enum: ["True", "False", Unknown]
        reason:
          type: string
          maxLength: 1024
        message:
          type: string
          maxLength: 32768
        lastTransitionTime:
          type: string
          format: date-time
        observedGeneration:
          type: integer
          format: int64
  workloads:
    description: Workloads that the policy speaks for.
    type: integer
    format: int32
  replicas:
    description: The replicas that these want.
    type: integer
    format: int32
  classes:
    description: Replicas by class.
    type: array
    x-kubernetes-list-type: map
    x-kubernetes-list-map-keys: [name]
    items:
      type: object
      required: [name, wanted, actual]
      properties:
        name:
          type: string
        wanted:
          description: Seats of the class.
          type: integer
          format: int32
        actual:
          description: Pods on nodes of the class.
          type: integer
          format: int32
  wanted:
    description: The seats of spot and on-demand, or of the classes in their order, for the columns.
    type: string
  actual:
    description: Pods on spot and on-demand, or on the classes in their order, for the columns.
    type: string
  runs:
    description: With count Runs, the pods that got a node so far, by its class.
    type: object
    additionalProperties:
      type: integer
      format: int64
  counted:
    description: Which pods are in runs already, so that none counts twice.
    type: object
    x-kubernetes-map-type: atomic
    required: [until, pods]
    properties:
      until:
        description: All that were bound in this second or before (seconds since the epoch).
        type: integer
        format: int64
      pods:
        description: UIDs of those bound later, each with the second in which it was.
        type: object
        additionalProperties:
          type: integer
          format: int64
  lost:
    description: With interruptions, the pods that interruptions took from each Job that is there.
    type: array
    x-kubernetes-list-type: atomic
    items:
      type: object
      required: [job, pods]
      properties:
        job:
          description: The UID of the Job.
          type: string
        pods:
          description: Their UIDs, as many as make a difference.
          type: array
          items:
            type: string
{{- end -}}

{{- define "spotmix.policyVersion" -}}
name: v1alpha1
served: true
storage: true
subresources:
  status: {}
additionalPrinterColumns:
  - {name: Workloads, type: integer, jsonPath: .status.workloads, description: Workloads that it speaks for}
  - {name: Replicas, type: integer, jsonPath: .status.replicas, description: Replicas that these want}
  - {name: Split, type: string, jsonPath: .status.actual, description: Pods on spot and on-demand or on the classes in their order}
  - {name: Wanted, type: string, jsonPath: .status.wanted, description: Seats of spot and on-demand or of the classes in their order}
  - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Converged")].status', description: Whether every replica is on the class of its seat}
  - {name: Accepted, type: string, priority: 1, jsonPath: '.status.conditions[?(@.type=="Accepted")].message', description: What it does}
  - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
{{- end -}}
