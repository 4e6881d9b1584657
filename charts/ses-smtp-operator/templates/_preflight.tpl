{{- /* What the schema cannot see. What one value may be is the schema's part. */}}
{{- define "ses-smtp-operator.preflight.values" -}}
{{- $fullname := include "ses-smtp-operator.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) }}
{{- fail (printf "fullnameOverride: the objects would be named %q, but a Service's name has only small letters, digits and -, and begins with a letter; choose another name for the release or set fullnameOverride" $fullname) }}
{{- end }}
{{- if and .Values.rbac.create (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
{{- fail "serviceAccount.name: needed when serviceAccount.create is false and rbac.create is true, or every pod of the namespace that runs as the account \"default\" may read and write Secrets" }}
{{- end }}
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
{{- if and .enabled (lt $retry 100.0) }}
{{- fail (printf "leaderElection.retryPeriod: %s is less than 100ms" .retryPeriod) }}
{{- end }}
{{- if and .enabled (le $renew (mulf $retry 1.2)) }}
{{- fail (printf "leaderElection.renewDeadline: %s is not longer than 1.2 times leaderElection.retryPeriod, %s" .renewDeadline .retryPeriod) }}
{{- end }}
{{- end }}
{{- with .Values.strategy }}
{{- if and (not $.Values.leaderElection.enabled) (ne (default "" .type) "Recreate") }}
{{- fail "strategy.type: without leaderElection.enabled it has to be Recreate, or the old pod and the new one work at the same time" }}
{{- end }}
{{- if and (eq (default "" .type) "Recreate") .rollingUpdate }}
{{- fail "strategy.rollingUpdate: not together with strategy.type Recreate" }}
{{- end }}
{{- end }}
{{- $owned := include "ses-smtp-operator.flags" . | fromYamlArray }}
{{- range .Values.extraArgs }}
{{- if has (regexFind "^[^=]+" . | replace "--no-" "--") $owned }}
{{- fail (printf "extraArgs: %s is set by a value of this chart already; change that value" (regexFind "^[^=]+" .)) }}
{{- end }}
{{- end }}
{{- range .Values.verify.allowedEndpoints }}
{{- if gt (regexFind "[0-9]+$" . | int) 65535 }}
{{- fail (printf "verify.allowedEndpoints: %s has no port from 1 to 65535" .) }}
{{- end }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if and (include "ses-smtp-operator.text" .minAvailable) (include "ses-smtp-operator.text" .maxUnavailable) }}
{{- fail "podDisruptionBudget: minAvailable and maxUnavailable cannot be set together" }}
{{- end }}
{{- end }}
{{- with .Values.metrics }}
{{- if and .enabled (eq (int .port) 8081) }}
{{- fail "metrics.port: 8081 is the port of the health checks" }}
{{- end }}
{{- range $name, $values := dict "metrics.prometheusRule" .prometheusRule "metrics.grafanaDashboard" .grafanaDashboard }}
{{- if and $values.enabled (not $.Values.metrics.enabled) }}
{{- fail (printf "%s.enabled: needs metrics.enabled" $name) }}
{{- end }}
{{- end }}
{{- $rules := .prometheusRule.enabled }}
{{- with .serviceMonitor }}
{{- if and .enabled (not (and $.Values.metrics.enabled $.Values.metrics.service.enabled)) }}
{{- fail "metrics.serviceMonitor.enabled: needs metrics.enabled and metrics.service.enabled" }}
{{- end }}
{{- if and .enabled $rules (gt (include "ses-smtp-operator.milliseconds" .interval | float64) 120000.0) }}
{{- fail (printf "metrics.serviceMonitor.interval: %s is too long for the alerts of metrics.prometheusRule, which bear 2m" .interval) }}
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
{{- $second := ternary "" `
(One installation serves all namespaces. If there is one already, this would be a second one that does the same work:
set watchNamespaces as well, to the namespaces that are for this one, and to others there.)` (not (empty .Values.watchNamespaces)) }}
{{- with include "ses-smtp-operator.otherOwner" (dict "root" $ "object" $crd) }}
{{- fail (printf `
The CRD %s is in this cluster already, and %s.
Leave it to those who installed it:
  --set crds.enabled=false%s
or hand it over to this release, which then keeps it up to date (no SesSmtpCredential is touched):
  kubectl annotate --overwrite crd %s meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s
  kubectl label --overwrite crd %s app.kubernetes.io/managed-by=Helm` $name . $second $name $.Release.Name $.Release.Namespace $name) }}
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
