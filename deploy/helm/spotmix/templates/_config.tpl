{{- /* The configuration file of `spotmix serve`: what users may set, and over it what the chart decides. */ -}}
{{- define "spotmix.config" -}}
{{- $name := include "spotmix.fullname" . -}}
{{- $owned := dict
      "apiVersion" "spotmix.io/v1alpha1"
      "kind" "SpotmixConfiguration"
      "extender" (dict "addr" (printf "%s:%v" .Values.listenAddress .Values.extender.port) "urlPrefix" "/scheduler")
      "metrics" (dict "addr" (printf "%s:%v" .Values.listenAddress .Values.metrics.port) "auth" .Values.metrics.auth)
      "api" (include "spotmix.apiConfig" . | fromYaml)
      "expander" (include "spotmix.expanderConfig" . | fromYaml)
      "drift" (dict "store" (include "spotmix.driftStore" .))
      "leaderElection" (dict "enabled" .Values.leaderElection.enabled)
      "schedulerConfig" (include "spotmix.schedulerConfig" . | fromYaml)
      "webhook" (dict "enabled" .Values.webhook.enabled) -}}
{{- if .Values.extender.tls.secretName -}}
{{- $tls := dict "cert" "/etc/spotmix/extender-tls/tls.crt" "key" "/etc/spotmix/extender-tls/tls.key" -}}
{{- if include "spotmix.verifiesClients" . -}}
{{- $_ := set $tls "clientCa" "/etc/spotmix/extender-tls/ca.crt" -}}
{{- end -}}
{{- $_ := set $owned.extender "tls" $tls -}}
{{- else if include "spotmix.extenderSelfMade" . -}}
{{- $certificates := dict "secret" (include "spotmix.extenderSecret" .) "service" (print $name "-extender") -}}
{{- with .Values.extender.service.clusterIP -}}
{{- $_ := set $certificates "ipAddresses" (list .) -}}
{{- end -}}
{{- range $key, $value := .Values.extender.tls.selfMade -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $certificates $key $value -}}
{{- end -}}
{{- end -}}
{{- $_ := set $owned.extender "certificates" $certificates -}}
{{- end -}}
{{- if .Values.metrics.tls.secretName -}}
{{- $_ := set $owned.metrics "tls" (dict "cert" "/etc/spotmix/metrics-tls/tls.crt" "key" "/etc/spotmix/metrics-tls/tls.key") -}}
{{- end -}}
{{- if .Values.leaderElection.enabled -}}
{{- $_ := set $owned "leaderElection" (mergeOverwrite (deepCopy .Values.leaderElection) (dict "name" $name)) -}}
{{- end -}}
{{- if .Values.webhook.enabled -}}
{{- $_ := set $owned "webhook" (include "spotmix.webhookConfig" . | fromYaml) -}}
{{- end -}}
{{- if .Values.scheduler.enabled -}}
{{- $_ := set $owned "placement" (dict "askingSchedulers" (list .Values.scheduler.schedulerName)) -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $owned) -}}
{{- end -}}

{{- /* The same without what the program takes up while it runs, see settings/reloaded.yaml. */ -}}
{{- define "spotmix.restartConfig" -}}
{{- $config := include "spotmix.config" . | fromYaml -}}
{{- range .Files.Get "settings/reloaded.yaml" | fromYamlArray -}}
{{- $path := splitList "." . -}}
{{- $section := $config -}}
{{- range initial $path -}}
{{- $section = get $section . | default dict -}}
{{- end -}}
{{- $_ := unset $section (last $path) -}}
{{- end -}}
{{- range $name, $section := deepCopy $config -}}
{{- if and (kindIs "map" $section) (empty $section) -}}
{{- $_ := unset $config $name -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "spotmix.apiConfig" -}}
enabled: {{ .Values.api.enabled }}
{{- if .Values.api.enabled }}
addr: {{ printf "%s:%v" .Values.listenAddress .Values.api.port | quote }}
auth: {{ .Values.api.auth }}
{{- if .Values.api.tls.secretName }}
tls:
  cert: /etc/spotmix/api-tls/tls.crt
  key: /etc/spotmix/api-tls/tls.key
  {{- if .Values.api.tls.verifyClients }}
  clientCa: /etc/spotmix/api-tls/ca.crt
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "spotmix.expanderConfig" -}}
enabled: {{ .Values.expander.enabled }}
{{- if .Values.expander.enabled }}
addr: {{ printf "%s:%v" .Values.listenAddress .Values.expander.port | quote }}
tls:
  cert: /etc/spotmix/expander-tls/tls.crt
  key: /etc/spotmix/expander-tls/tls.key
{{- end }}
{{- end -}}

{{- define "spotmix.schedulerConfig" -}}
urlPrefix: {{ include "spotmix.urlPrefix" . }}
{{- with include "spotmix.extenderTls" . | fromYaml }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{ toYaml .Values.schedulerConfig }}
{{- end -}}

{{- define "spotmix.webhookConfig" -}}
enabled: true
addr: {{ printf "%s:%v" .Values.listenAddress .Values.webhook.port | quote }}
invalidPolicies: {{ .Values.webhook.invalidPolicies }}
defaultSchedulerName: {{ .Values.webhook.defaultSchedulerName | quote }}
{{- if not (kindIs "invalid" .Values.webhook.preferenceWeight) }}
preferenceWeight: {{ .Values.webhook.preferenceWeight }}
{{- end }}
{{- with .Values.webhook.extraSpotTaints }}
extraSpotTaints: {{ toJson . }}
{{- end }}
{{- if eq .Values.webhook.certificates.source "selfMade" }}
certificates:
  secret: {{ include "spotmix.tlsSecret" . }}
  service: {{ include "spotmix.fullname" . }}-webhook
  configurations: [{{ include "spotmix.fullname" . }}]
  {{- range $key, $value := .Values.webhook.certificates.selfMade }}
  {{- if not (kindIs "invalid" $value) }}
  {{ $key }}: {{ $value }}
  {{- end }}
  {{- end }}
{{- else }}
tls:
  cert: /etc/spotmix/webhook-tls/tls.crt
  key: /etc/spotmix/webhook-tls/tls.key
{{- end }}
{{- end -}}

{{- /* The ConfigMap that the drift loop keeps its moves in. */ -}}
{{- define "spotmix.driftStore" -}}
{{ include "spotmix.fullname" . }}-drift
{{- end -}}

{{- /* Not empty while the drift loop runs. */ -}}
{{- define "spotmix.asksForNodes" -}}
{{- if gt (int (dig "placeholders" 3 (.Values.config.drift | default dict))) 0 }}true{{ end -}}
{{- end -}}

{{- define "spotmix.drifts" -}}
{{- if dig "enabled" true (.Values.config.drift | default dict) }}true{{ end -}}
{{- end -}}
