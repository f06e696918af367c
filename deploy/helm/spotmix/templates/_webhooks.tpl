{{- define "spotmix.webhookMetadata" -}}
{{- $annotations := dict -}}
{{- if eq .Values.webhook.certificates.source "certManager" -}}
{{- $annotations = dict "cert-manager.io/inject-ca-from" (printf "%s/%s-webhook" (include "spotmix.namespace" .) (include "spotmix.fullname" .)) -}}
{{- end -}}
{{- include "spotmix.metadata" (dict "root" . "component" "server" "cluster" true "annotations" (merge $annotations .Values.webhook.annotations)) -}}
{{- end -}}
{{- define "spotmix.webhookClient" -}}
{{- $root := index . 0 -}}
clientConfig:
  service:
    name: {{ include "spotmix.fullname" $root }}-webhook
    namespace: {{ include "spotmix.namespace" $root }}
    port: 443
    path: {{ index . 1 }}
  {{- if eq $root.Values.webhook.certificates.source "existingSecret" }}
  caBundle: {{ $root.Values.webhook.certificates.existingSecret.caBundle | b64enc }}
  {{- end }}
admissionReviewVersions: [v1]
# Without us pods are created as they are, and the extender still places them right.
failurePolicy: Ignore
timeoutSeconds: {{ $root.Values.webhook.timeoutSeconds }}
sideEffects: None
matchPolicy: Equivalent
{{- end -}}
{{- /* As far as Namespaces tell: the label that opts in may be on the workload alone. */ -}}
{{- define "spotmix.webhookNamespaces" -}}
{{- $protected := dig "policy" "protectedNamespaces" list .Values.config -}}
{{- $only := dig "policy" "namespaces" list .Values.config -}}
{{- $selector := dig "policy" "namespaceSelector" dict .Values.config -}}
namespaceSelector:
  {{- with $selector.matchLabels }}
  matchLabels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  matchExpressions:
    {{- if $only }}
    - key: kubernetes.io/metadata.name
      operator: In
      values: {{ $only | toJson }}
    {{- end }}
    {{- with $selector.matchExpressions }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ append (concat .Values.webhook.excludedNamespaces $protected) (include "spotmix.namespace" .) | uniq | toJson }}
    {{- with .Values.webhook.namespaceMatchExpressions }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
