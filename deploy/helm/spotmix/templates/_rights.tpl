{{- /* What Spotmix changes in namespaces that are managed: everywhere, or in those of policy.namespaces alone. */ -}}
{{- define "spotmix.writeRules" -}}
{{- $drifts := include "spotmix.drifts" . -}}
{{- $asks := include "spotmix.asksForNodes" . -}}
{{- $replaces := dig "placement" "replacePending" true .Values.config -}}
# Seats as deletion costs, what wakes a pod that waits, and the leader's label on its own pod.
- apiGroups: [""]
  resources: [pods]
  verbs: [patch]
# How policies are doing.
- apiGroups: [spotmix.io]
  resources: [placementpolicies/status]
  verbs: [patch]
# The nominated node.
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
{{- if $replaces }}
# A pod without a node is deleted when its class does not come, so that its owner makes it anew.
- apiGroups: [""]
  resources: [pods]
  verbs: [delete]
{{- end }}
# Events, and the count of their repetitions.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if or $drifts $asks $replaces .Values.webhook.enabled }}
# A pod is looked at once more before it is moved or deleted, a node is asked for in its name, or tolerations are added.
- apiGroups: [""]
  resources: [pods]
  verbs: [get]
{{- end }}
{{- if $drifts }}
# Pods are moved by the Eviction API alone.
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
{{- end }}
{{- end -}}
