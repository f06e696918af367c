{{- define "spotmix.webhookMetadata" -}}
{{ include "spotmix.clusterMetadata" (list . "" "server") }}
{{- if eq .Values.webhook.certificates.source "certManager" }}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "spotmix.fullname" . }}-webhook
{{- end }}
{{- end -}}
{{- define "spotmix.webhookClient" -}}
{{- $root := index . 0 -}}
clientConfig:
  service:
    name: {{ include "spotmix.fullname" $root }}-webhook
    namespace: {{ $root.Release.Namespace }}
    port: 443
    path: {{ index . 1 }}
  {{- if eq $root.Values.webhook.certificates.source "existingSecret" }}
  caBundle: {{ $root.Values.webhook.certificates.existingSecret.caBundle | b64enc }}
  {{- end }}
admissionReviewVersions: [v1]
# Without us pods are created as they are, and the extender still places them right.
failurePolicy: Ignore
timeoutSeconds: 2
sideEffects: None
matchPolicy: Equivalent
{{- end -}}
{{- /* It can only exclude: the label that opts in may be on the workload alone, which a Namespace's labels do not tell. */ -}}
{{- define "spotmix.webhookNamespaces" -}}
{{- $protected := dig "policy" "protectedNamespaces" list .Values.config -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ append (concat .Values.webhook.excludedNamespaces $protected) .Release.Namespace | uniq | toJson }}
    {{- with .Values.webhook.namespaceMatchExpressions }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
