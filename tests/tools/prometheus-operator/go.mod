// The definitions of ServiceMonitor and PrometheusRule, which the chart can install objects of. Only files are taken from this
// module; nothing of it is compiled.
module github.com/coder-operator/coder-operator/tests/tools/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
