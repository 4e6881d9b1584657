{{- /* What the schema cannot see. What one value may be is the schema's part. */}}
{{- define "ses-smtp-operator.preflight.values" -}}
{{- with .Values.leaderElection }}
{{- if and (gt (int $.Values.replicaCount) 1) (not .enabled) }}
{{- fail "replicaCount: more than one pod needs leaderElection.enabled, or all of them work at the same time" }}
{{- end }}
{{- $lease := include "ses-smtp-operator.milliseconds" .leaseDuration | float64 }}
{{- $renew := include "ses-smtp-operator.milliseconds" .renewDeadline | float64 }}
{{- $retry := include "ses-smtp-operator.milliseconds" .retryPeriod | float64 }}
{{- if and .enabled (le $lease $renew) }}
{{- fail (printf "leaderElection.leaseDuration: %s is not longer than leaderElection.renewDeadline, %s" .leaseDuration .renewDeadline) }}
{{- end }}
{{- if and .enabled (le $renew (mulf $retry 1.2)) }}
{{- fail (printf "leaderElection.renewDeadline: %s is not longer than 1.2 times leaderElection.retryPeriod, %s" .renewDeadline .retryPeriod) }}
{{- end }}
{{- end }}
{{- $set := list }}
{{- range include "ses-smtp-operator.args" . | fromYamlArray }}
{{- $set = append $set (regexFind "^[^=]+" .) }}
{{- end }}
{{- range .Values.extraArgs }}
{{- if has (regexFind "^[^=]+" .) $set }}
{{- fail (printf "extraArgs: %s is set by a value of this chart already; change that value" (regexFind "^[^=]+" .)) }}
{{- end }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if and (ne (toString .minAvailable) "") (ne (toString .maxUnavailable) "") }}
{{- fail "podDisruptionBudget: minAvailable and maxUnavailable cannot be set together" }}
{{- end }}
{{- end }}
{{- with .Values.metrics }}
{{- if and .enabled (eq (int .port) 8081) }}
{{- fail "metrics.port: 8081 is the port of the health checks" }}
{{- end }}
{{- with .serviceMonitor }}
{{- if and .enabled (not (and $.Values.metrics.enabled $.Values.metrics.service.enabled)) }}
{{- fail "metrics.serviceMonitor.enabled: needs metrics.enabled and metrics.service.enabled" }}
{{- end }}
{{- if and .enabled (gt (include "ses-smtp-operator.milliseconds" .scrapeTimeout | float64) (include "ses-smtp-operator.milliseconds" .interval | float64)) }}
{{- fail (printf "metrics.serviceMonitor.scrapeTimeout: %s is longer than metrics.serviceMonitor.interval, %s" .scrapeTimeout .interval) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
What is in the cluster already. helm prints the names of these two templates to somebody who has no right to look
there, and nothing else that says what to do.
*/}}
{{- define "the CRD is for a cluster administrator to apply (crds/); without such rights set crds.enabled=false" -}}
{{- if .Values.crds.enabled }}
{{- $name := "sessmtpcredentials.ses-smtp.dev" }}
{{- $crd := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name }}
{{- with include "ses-smtp-operator.otherOwner" (dict "root" $ "object" $crd) }}
{{- fail (printf `
The CRD %s is in this cluster already, and %s.
Leave it to those who installed it:
  --set crds.enabled=false
or hand it over to this release, which then keeps it up to date (no SesSmtpCredential is touched):
  kubectl annotate --overwrite crd %s meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s
  kubectl label --overwrite crd %s app.kubernetes.io/managed-by=Helm` $name . $name $.Release.Name $.Release.Namespace $name) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ClusterRoles are for a cluster administrator to make; without such rights set rbac.create=false" -}}
{{- $fullname := include "ses-smtp-operator.fullname" . }}
{{- with .Values.rbac }}
{{- $names := list }}
{{- if not $.Values.watchNamespaces }}
{{- $names = append $names $fullname }}
{{- end }}
{{- if or .aggregateToView .aggregateToEdit .aggregateToAdmin }}
{{- $names = append $names (printf "%s-view" $fullname) }}
{{- end }}
{{- range ternary $names (list) .create }}
{{- $role := lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" . }}
{{- with include "ses-smtp-operator.otherOwner" (dict "root" $ "object" $role) }}
{{- fail (printf `
The ClusterRole %s is in this cluster already, and %s.
One installation serves all namespaces. For a second one beside it, which serves some namespaces only, choose another
name for the release or set fullnameOverride, and set watchNamespaces.` $role.metadata.name .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Whose an object is, when it is there and not this release's. As helm itself decides it. */}}
{{- define "ses-smtp-operator.otherOwner" -}}
{{- with .object.metadata }}
{{- $annotations := default (dict) .annotations }}
{{- $release := index $annotations "meta.helm.sh/release-name" }}
{{- $namespace := index $annotations "meta.helm.sh/release-namespace" }}
{{- $managed := eq "Helm" (default "" (index (default (dict) .labels) "app.kubernetes.io/managed-by")) }}
{{- if not (and $release $namespace $managed) }}
{{- "was not installed by helm" }}
{{- else if or (ne $release $.root.Release.Name) (ne $namespace $.root.Release.Namespace) }}
{{- printf "belongs to the release %s in namespace %s" $release $namespace }}
{{- end }}
{{- end }}
{{- end }}
