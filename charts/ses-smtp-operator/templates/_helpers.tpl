{{- define "ses-smtp-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "ses-smtp-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else }}
{{- $name := include "ses-smtp-operator.name" . }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "ses-smtp-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "ses-smtp-operator.serviceAccountName" -}}
{{- default (ternary (include "ses-smtp-operator.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "ses-smtp-operator.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ses-smtp-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ses-smtp-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Labels of an object. Selectors cannot be overridden, the rest can. */}}
{{- define "ses-smtp-operator.labels" -}}
{{- $selector := include "ses-smtp-operator.selectorLabels" . | fromYaml }}
{{- $standard := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/component" "controller"
  "app.kubernetes.io/part-of" "ses-smtp-operator"
  "app.kubernetes.io/managed-by" .Release.Service }}
{{- merge (dict) $selector (default (dict) .Values.commonLabels) $standard | toYaml }}
{{- end }}

{{- /* Labels of a pod: without those that change while the pod need not. */}}
{{- define "ses-smtp-operator.podLabels" -}}
{{- $selector := include "ses-smtp-operator.selectorLabels" . | fromYaml }}
{{- $standard := omit (include "ses-smtp-operator.labels" . | fromYaml) "helm.sh/chart" "app.kubernetes.io/managed-by" }}
{{- merge (dict) $selector (default (dict) .Values.podLabels) $standard | toYaml }}
{{- end }}

{{- /*
metadata of an object: its name, labels and annotations, with those that all objects have.
  {{- include "ses-smtp-operator.metadata" (dict "root" $ "suffix" "-test") | nindent 2 }}
Keys: root; and optionally name, suffix, namespace ("" for none), labels, annotations.
*/}}
{{- define "ses-smtp-operator.metadata" -}}
{{- $root := .root -}}
name: {{ default (printf "%s%s" (include "ses-smtp-operator.fullname" $root) (default "" .suffix)) .name }}
{{- $namespace := include "ses-smtp-operator.namespace" $root }}
{{- if hasKey . "namespace" }}
{{- $namespace = .namespace }}
{{- end }}
{{- with $namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- merge (dict) (default (dict) .labels) (include "ses-smtp-operator.labels" $root | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (default (dict) .annotations) (default (dict) $root.Values.commonAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* A length of time as "1m30s", in milliseconds. */}}
{{- define "ses-smtp-operator.milliseconds" -}}
{{- $total := 0.0 }}
{{- range regexFindAll "[0-9.]+(ms|s|m|h)" . -1 }}
{{- $factor := get (dict "ms" 1.0 "s" 1000.0 "m" 60000.0 "h" 3600000.0) (regexFind "[a-z]+" .) }}
{{- $total = addf $total (mulf (regexFind "[0-9.]+" . | float64) $factor) }}
{{- end }}
{{- $total }}
{{- end }}

{{- /* A value that may be a number, 0 as well, or nothing: as text. */}}
{{- define "ses-smtp-operator.text" -}}
{{- if not (kindIs "invalid" .) }}{{ . }}{{ end }}
{{- end }}

{{- /* The flags that values own, whether or not they are given now. */}}
{{- define "ses-smtp-operator.flags" -}}
- --log-level
- --log-format
- --max-concurrent-reconciles
- --watch-namespaces
- --leader-elect
- --leader-election-id
- --leader-election-lease-duration
- --leader-election-renew-deadline
- --leader-election-retry-period
- --verify-allowed-endpoints
{{- if .Values.verify.caBundleSecret.name }}
- --smtp-ca-file
{{- end }}
- --metrics-bind-address
- --metrics-per-credential
- --health-probe-bind-address
{{- end }}

{{- /* The program's arguments that values set, one a line. */}}
{{- define "ses-smtp-operator.args" -}}
{{- with .Values -}}
- --log-level={{ .log.level }}
- --log-format={{ .log.format }}
- --max-concurrent-reconciles={{ .maxConcurrentReconciles }}
{{- with .watchNamespaces }}
- --watch-namespaces={{ join "," . }}
{{- end }}
- --leader-elect={{ .leaderElection.enabled }}
{{- if .leaderElection.enabled }}
- --leader-election-id={{ include "ses-smtp-operator.fullname" $ }}
- --leader-election-lease-duration={{ .leaderElection.leaseDuration }}
- --leader-election-renew-deadline={{ .leaderElection.renewDeadline }}
- --leader-election-retry-period={{ .leaderElection.retryPeriod }}
{{- end }}
{{- with .verify.allowedEndpoints }}
- --verify-allowed-endpoints={{ join "," . }}
{{- end }}
{{- if .verify.caBundleSecret.name }}
- --smtp-ca-file=/smtp-ca/ca.crt
{{- end }}
- --metrics-bind-address={{ ternary (printf ":%v" .metrics.port) "0" .metrics.enabled }}
- --metrics-per-credential={{ .metrics.perCredential }}
- --health-probe-bind-address=:8081
{{- end }}
{{- end }}

{{- /* Where logins go, as the ports of a NetworkPolicy: those of Amazon SES and the listed ones. Called with verify. */}}
{{- define "ses-smtp-operator.smtpPorts" -}}
{{- $ports := list 25 465 587 2465 2587 }}
{{- range .allowedEndpoints }}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) }}
{{- end }}
{{- range uniq $ports }}
- port: {{ . }}
{{- end }}
{{- end }}

{{- /* A probe of the health port. Called with path and values. */}}
{{- define "ses-smtp-operator.probe" -}}
httpGet:
  path: {{ .path }}
  port: health
{{ omit .values "enabled" | toYaml }}
{{- end }}
