module peer-ottl

go 1.25.0

require (
	github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl v0.162.0
	github.com/open-telemetry/opentelemetry-collector-contrib/processor/redactionprocessor v0.162.0
)
