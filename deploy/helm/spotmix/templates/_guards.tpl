{{- /* Combinations of values, each valid by itself, that would hurt a cluster. */ -}}
{{- define "spotmix.guards" -}}
{{- if has (include "spotmix.namespace" .) (list "default" "kube-system") -}}
{{- fail (printf "namespace %s: Spotmix manages no pods of the namespace it runs in, so it needs one of its own; install with --namespace spotmix-system --create-namespace" (include "spotmix.namespace" .)) -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) -}}
{{- fail (printf "replicas is %v and leaderElection.enabled false: two replicas would not know each other's reservations; enable it, or set replicas to 1" .Values.replicas) -}}
{{- end -}}
{{- include "spotmix.guardBudget" (list "podDisruptionBudget" .Values.podDisruptionBudget "replicas" .Values.replicas) -}}
{{- if .Values.scheduler.enabled -}}
{{- include "spotmix.guardBudget" (list "scheduler.podDisruptionBudget" .Values.scheduler.podDisruptionBudget "scheduler.replicas" .Values.scheduler.replicas) -}}
{{- include "spotmix.guardScheduler" . -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false and serviceAccount.name is empty: name the account to use" -}}
{{- end -}}
{{- if .Values.webhook.enabled -}}{{- include "spotmix.guardCertificates" . -}}{{- end -}}
{{- if and .Values.extender.tls.clientSecretName (not .Values.extender.tls.secretName) -}}
{{- fail "extender.tls.clientSecretName is given without extender.tls.secretName: the certificate that schedulers show has to be of the CA in that Secret; give both, or neither to have both made" -}}
{{- end -}}
{{- if and .Values.api.enabled .Values.api.tls.verifyClients (not .Values.api.tls.secretName) -}}
{{- fail "api.tls.verifyClients needs api.tls.secretName: callers show certificates by TLS only" -}}
{{- end -}}
{{- $ports := dict -}}
{{- range $what := list "metrics" "extender" "webhook" "api" "expander" -}}
{{- $values := index $.Values $what -}}
{{- if dig "enabled" true $values -}}
{{- $port := toString $values.port -}}
{{- with get $ports $port -}}
{{- fail (printf "%s.port and %s.port are both %s; choose two" . $what $port) -}}
{{- end -}}
{{- $_ := set $ports $port $what -}}
{{- end -}}
{{- end -}}
{{- if and .Values.expander.enabled (not .Values.expander.tls.secretName) -}}
{{- fail "expander.enabled needs expander.tls.secretName: cluster-autoscaler asks by TLS only; name a Secret with tls.crt and tls.key" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.hostNetwork -}}
{{- fail "networkPolicy.enabled and hostNetwork are both true: a policy does not hold pods on the host's network, so it would protect nothing; switch it off, and have metrics.auth, api.auth and config.console.auth ask who is there" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor.enabled and podMonitor.enabled are both true: each replica would be scraped twice, and sums be double; choose one" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled (eq .Values.metrics.auth "kubernetes") (not .Values.podMonitor.authorization) -}}
{{- fail "podMonitor.enabled with metrics.auth kubernetes needs podMonitor.authorization: a PodMonitor cannot send Prometheus' own token; give {credentials: {name: SECRET, key: token}}, or use serviceMonitor" -}}
{{- end -}}
{{- if and (include "spotmix.gatesOnly" .) (not .Values.webhook.enabled) -}}
{{- fail "scheduler.enabled and webhook.enabled are false and config.policy.defaults.enforcement is affinity: it is the webhook that has classes written on pods; enable it" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.scheduler.enabled) (not .Values.networkPolicy.extenderFrom) (not (include "spotmix.gatesOnly" .)) -}}
{{- fail "networkPolicy.enabled without a scheduler of this chart and with an empty networkPolicy.extenderFrom lets no scheduler reach the extender; list who may, such as [{ipBlock: {cidr: 10.0.0.0/24}}] of the control plane" -}}
{{- end -}}
{{- range $key := list "store" "namespace" -}}
{{- if hasKey ($.Values.config.drift | default dict) $key -}}
{{- fail (printf "config.drift.%s is decided by the chart, which gives the rights to that one ConfigMap alone" $key) -}}
{{- end -}}
{{- end -}}
{{- if .Values.config.extender -}}
{{- range $key := list "addr" "urlPrefix" "tls" "certificates" -}}
{{- if hasKey $.Values.config.extender $key -}}
{{- fail (printf "config.extender.%s is decided by the chart; use extender.port, extender.tls or listenAddress" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "spotmix.guardBudget" -}}
{{- $name := index . 0 -}}
{{- $budget := index . 1 -}}
{{- $replicasName := index . 2 -}}
{{- $replicas := int (index . 3) -}}
{{- if $budget.enabled -}}
{{- if lt $replicas 2 -}}
{{- fail (printf "%s.enabled with %s %d would block every node drain or protect nothing; set %s.enabled to false, or %s to 2" $name $replicasName $replicas $name $replicasName) -}}
{{- end -}}
{{- if kindIs "invalid" $budget.minAvailable -}}
{{- if kindIs "invalid" $budget.maxUnavailable -}}
{{- fail (printf "%s has neither maxUnavailable nor minAvailable; set maxUnavailable to 1" $name) -}}
{{- end -}}
{{- if has (toString $budget.maxUnavailable) (list "0" "0%") -}}
{{- fail (printf "%s.maxUnavailable is %v, which blocks every node drain; set it to 1" $name $budget.maxUnavailable) -}}
{{- end -}}
{{- else if not (kindIs "invalid" $budget.maxUnavailable) -}}
{{- fail (printf "%s has both maxUnavailable (%v) and minAvailable (%v); set one of them to null" $name $budget.maxUnavailable $budget.minAvailable) -}}
{{- else -}}
{{- $text := toString $budget.minAvailable -}}
{{- $needed := int $text -}}
{{- if hasSuffix "%" $text -}}
{{- /* As Kubernetes rounds it: up. */ -}}
{{- $needed = int (ceil (divf (mulf (int (trimSuffix "%" $text)) $replicas) 100)) -}}
{{- end -}}
{{- if ge $needed $replicas -}}
{{- fail (printf "%s.minAvailable %s of %s %d blocks every node drain; lower it, or set maxUnavailable to 1 and minAvailable to null" $name $text $replicasName $replicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "spotmix.guardScheduler" -}}
{{- if eq .Values.scheduler.schedulerName "default-scheduler" -}}
{{- fail "scheduler.schedulerName is default-scheduler, which the cluster's own scheduler serves: both would bind the same pods; choose another name, or set scheduler.enabled to false" -}}
{{- end -}}
{{- range $key := list "apiVersion" "kind" "profiles" "extenders" "leaderElection" "clientConnection" -}}
{{- if hasKey $.Values.scheduler.config $key -}}
{{- fail (printf "scheduler.config.%s is decided by the chart; use scheduler.profile, scheduler.schedulerName, scheduler.leaderElection or schedulerConfig" $key) -}}
{{- end -}}
{{- end -}}
{{- if hasKey .Values.scheduler.profile "schedulerName" -}}
{{- fail "scheduler.profile.schedulerName is decided by scheduler.schedulerName" -}}
{{- end -}}
{{- if and (not .Values.scheduler.image.tag) (not .Values.scheduler.image.digest) (not (include "spotmix.schedulerTag" .)) -}}
{{- fail (printf "the cluster's version %s is none that kube-scheduler was released as; set scheduler.image.tag" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}

{{- define "spotmix.guardCertificates" -}}
{{- $certificates := .Values.webhook.certificates -}}
{{- $existing := $certificates.existingSecret -}}
{{- if eq $certificates.source "existingSecret" -}}
{{- if not $existing.name -}}
{{- fail "webhook.certificates.source is existingSecret and webhook.certificates.existingSecret.name is empty: the webhook would have no certificate; name a Secret with tls.crt and tls.key, or use selfMade" -}}
{{- end -}}
{{- if not $existing.caBundle -}}
{{- fail "webhook.certificates.existingSecret.caBundle is empty: the API server would trust no certificate of the webhook and leave every pod unchanged; give the PEM of the CA" -}}
{{- end -}}
{{- else if or $existing.name $existing.caBundle -}}
{{- fail (printf "webhook.certificates.existingSecret is given and webhook.certificates.source is %s: certificates can have one source; set source to existingSecret, or leave it empty" $certificates.source) -}}
{{- end -}}
{{- if and $certificates.certManager.issuerRef (ne $certificates.source "certManager") -}}
{{- fail (printf "webhook.certificates.certManager.issuerRef is given and webhook.certificates.source is %s: certificates can have one source; set source to certManager, or leave it empty" $certificates.source) -}}
{{- end -}}
{{- end -}}
