{{- /*
The label `job` of our series. ServiceMonitors give the name of the Service, which two installations may share,
and `namespace` does not tell them apart either: in series of credentials it is the credential's.
*/}}
{{- define "ses-smtp-operator.job" -}}
{{ include "ses-smtp-operator.namespace" . }}/{{ include "ses-smtp-operator.fullname" . }}
{{- end }}

{{- /*
Whether to make an object of the Prometheus Operator: "true" or nothing, by renderMode. Called with root, kind
and value, the name of the value that is on.
*/}}
{{- define "ses-smtp-operator.monitoring" -}}
{{- $values := get .root.Values.metrics .value }}
{{- $served := .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) }}
{{- if and .root.Values.metrics.enabled $values.enabled }}
{{- if and (not $served) (eq $values.renderMode "failIfMissing") }}
{{- fail (printf "metrics.%[1]s.enabled is true, but the cluster has no %[2]s (monitoring.coreos.com/v1). Install the Prometheus Operator with its CRDs, or set metrics.%[1]s.renderMode to skipIfMissing, or to alwaysRender if the CRD comes later" .value .kind) }}
{{- end }}
{{- if or $served (eq $values.renderMode "alwaysRender") }}true{{ end }}
{{- end }}
{{- end }}
