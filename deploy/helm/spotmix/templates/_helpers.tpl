{{- define "spotmix.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* At most 40 characters, so that every name made of it is a valid one. */ -}}
{{- define "spotmix.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "spotmix.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "spotmix.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "spotmix.selectorLabels" -}}
app.kubernetes.io/name: {{ include "spotmix.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Where it all goes. */ -}}
{{- define "spotmix.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- /* Labels and annotations of pods. A dict: root, component, and perhaps labels and annotations of their own. */ -}}
{{- define "spotmix.podMetadata" -}}
{{- $own := dict
      "app.kubernetes.io/version" .root.Chart.AppVersion
      "app.kubernetes.io/part-of" "spotmix"
      "app.kubernetes.io/managed-by" .root.Release.Service
      "app.kubernetes.io/component" .component -}}
labels:
  {{- merge (include "spotmix.selectorLabels" .root | fromYaml) $own (.labels | default dict) .root.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge dict (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Metadata of an object. A dict: root, component, and perhaps suffix of the full name, or name; namespace, or cluster
       for none; labels and annotations of its own. */ -}}
{{- define "spotmix.metadata" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
name: {{ .name | default (print (include "spotmix.fullname" .root) (.suffix | default "")) }}
{{- if not .cluster }}
namespace: {{ .namespace | default (include "spotmix.namespace" .root) }}
{{- end }}
{{ include "spotmix.podMetadata" (merge (dict "labels" (merge (dict "helm.sh/chart" $chart) (.labels | default dict))) .) }}
{{- end -}}

{{- define "spotmix.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "spotmix.fullname" .) -}}
{{- end -}}

{{- /* List of image values and default tag. */ -}}
{{- define "spotmix.image" -}}
{{- $image := index . 0 -}}
{{- $repository := list $image.registry $image.repository | compact | join "/" -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default (index . 1)) -}}
{{- end -}}
{{- end -}}

{{- /* What Spotmix writes on a pod for the scheduler to try it again. */ -}}
{{- define "spotmix.wakeAnnotation" -}}
{{ include "spotmix.prefix" . }}/wake
{{- end -}}

{{- /* Of the annotations, labels and the scheduling gate that are Spotmix' own. */ -}}
{{- define "spotmix.prefix" -}}
{{- first (dig "policy" "prefixes" (list "spotmix.io") .Values.config) -}}
{{- end -}}

{{- /* Not empty where no scheduler is to ask the extender, since classes are written on pods. */ -}}
{{- define "spotmix.gatesOnly" -}}
{{- if and (not .Values.scheduler.enabled) (eq (dig "policy" "defaults" "enforcement" "" .Values.config) "affinity") }}true{{ end -}}
{{- end -}}

{{- define "spotmix.schedulerTag" -}}
{{- /* Vendors add to the version they are based on: v1.34.2-eks-1-34. */ -}}
{{- regexFind "^v[0-9]+\\.[0-9]+\\.[0-9]+" .Capabilities.KubeVersion.Version -}}
{{- end -}}

{{- define "spotmix.tlsSecret" -}}
{{- if eq .Values.webhook.certificates.source "existingSecret" -}}
{{- .Values.webhook.certificates.existingSecret.name -}}
{{- else -}}
{{- include "spotmix.fullname" . }}-webhook-tls
{{- end -}}
{{- end -}}

{{- /* Whether anything that people look at asks who they are. */ -}}
{{- define "spotmix.asksReaders" -}}
{{- $console := and (dig "console" "enabled" true .Values.config) (eq (dig "console" "auth" "none" .Values.config) "kubernetes") -}}
{{- $api := and .Values.api.enabled (eq .Values.api.auth "kubernetes") -}}
{{- if or $console $api -}}true{{- end -}}
{{- end -}}

{{- /* Likewise that, or the metrics. */ -}}
{{- define "spotmix.authenticates" -}}
{{- if or (include "spotmix.asksReaders" .) (eq .Values.metrics.auth "kubernetes") -}}true{{- end -}}
{{- end -}}

{{- /* Not empty where Spotmix makes the extender's certificate, and one for schedulers to show. */ -}}
{{- define "spotmix.extenderSelfMade" -}}
{{- if and .Values.extender.tls.enabled (not .Values.extender.tls.secretName) }}true{{ end -}}
{{- end -}}

{{- /* Not empty where schedulers have to show a certificate. */ -}}
{{- define "spotmix.verifiesClients" -}}
{{- if or (include "spotmix.extenderSelfMade" .) (and .Values.extender.tls.secretName .Values.extender.tls.clientSecretName) }}true{{ end -}}
{{- end -}}

{{- define "spotmix.extenderSecret" -}}
{{- .Values.extender.tls.secretName | default (print (include "spotmix.fullname" .) "-extender-tls") -}}
{{- end -}}

{{- define "spotmix.extenderScheme" -}}
{{- if or (include "spotmix.extenderSelfMade" .) .Values.extender.tls.secretName }}https{{ else }}http{{ end -}}
{{- end -}}

{{- define "spotmix.urlPrefix" -}}
{{- printf "%s://%s-extender.%s.svc:%v/scheduler" (include "spotmix.extenderScheme" .) (include "spotmix.fullname" .) (include "spotmix.namespace" .) .Values.extender.port -}}
{{- end -}}

{{- /* Where this chart's scheduler pods have what they verify the extender by, and show it. A scheduler elsewhere has to have
       the files there too, or a tlsConfig of its own. */ -}}
{{- define "spotmix.extenderFiles" -}}/etc/spotmix/extender-ca{{- end -}}

{{- /* The tlsConfig of the extender's stanza; empty for plain HTTP. */ -}}
{{- define "spotmix.extenderTls" -}}
{{- $files := include "spotmix.extenderFiles" . -}}
{{- if eq (include "spotmix.extenderScheme" .) "https" -}}
caFile: {{ $files }}/ca.crt
{{- if include "spotmix.verifiesClients" . }}
certFile: {{ $files }}/client.crt
keyFile: {{ $files }}/client.key
{{- end }}
{{- end -}}
{{- end -}}

{{- /* Probes of a container: dict of probes (their values), path by probe, port and scheme. */ -}}
{{- define "spotmix.probes" -}}
{{- range $name := list "startup" "liveness" "readiness" }}
{{ $name }}Probe:
  httpGet:
    path: {{ get $.paths $name }}
    port: {{ $.port }}
    scheme: {{ $.scheme }}
  {{- with get $.probes $name }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "spotmix.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "spotmix.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* What the specs of all pods have: list of the root, the values (affinity, nodeSelector, ...) and the component. */ -}}
{{- define "spotmix.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
{{- $component := index . 2 -}}
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "spotmix.podSecurityContext" $root | nindent 2 }}
# Never by our own extender: it would wait for itself.
schedulerName: default-scheduler
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if $values.affinity }}
  {{- toYaml $values.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "spotmix.selectorLabels" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $component }}
  {{- end }}
{{- if $root.Values.topologySpreadConstraints.enabled }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "spotmix.selectorLabels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $component }}
{{- end }}
{{- end -}}

{{- define "spotmix.podDisruptionBudget" -}}
{{- $root := index . 0 -}}
{{- $budget := index . 1 -}}
{{- $component := index . 3 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "spotmix.metadata" (dict "root" $root "suffix" (index . 2) "component" $component) | nindent 2 }}
spec:
  {{- if kindIs "invalid" $budget.minAvailable }}
  maxUnavailable: {{ $budget.maxUnavailable }}
  {{- else }}
  minAvailable: {{ $budget.minAvailable }}
  {{- end }}
  # A pod that is not ready protects nobody: let it go.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "spotmix.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $component }}
{{- end -}}

{{- /* Metadata of what runs before anything else goes: list of the root, the weight, and whether it is of no namespace. Hooks
       are made in the order of their weights, and go when all have succeeded. */ -}}
{{- define "spotmix.uninstallHook" -}}
{{- $root := index . 0 -}}
{{- $annotations := dict
      "helm.sh/hook" "pre-delete"
      "helm.sh/hook-weight" (index . 1)
      "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" -}}
{{- include "spotmix.metadata" (dict "root" $root "suffix" "-release-gates" "component" "release-gates" "annotations" $annotations "cluster" (index . 2)) -}}
{{- end -}}
