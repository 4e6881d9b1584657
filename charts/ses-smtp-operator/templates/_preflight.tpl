{{- /* What the schema cannot see. */}}
{{- define "ses-smtp-operator.preflight" -}}
{{- end }}
