package stats

import (
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/surveygate/surveygate/gateway/config"
)

// publicOnly makes metrics name nothing that is not public: what has another source or destination as its label is added to the
// series `other`. It changes the families and returns those that have series. The standing of single destinations has no sum there: the metrics of all deliveries have it.
func publicOnly(families []*dto.MetricFamily, public *config.Public) []*dto.MetricFamily {
	for _, family := range families {
		switch family.GetName() {
		case nameWaiting, nameOldest, nameOnHold:
			family.Metric = slices.DeleteFunc(family.Metric, func(m *dto.Metric) bool { return hiddenLabel(m, public) >= 0 })
		default:
			family.Metric = foldHidden(family.Metric, public)
		}
	}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return len(f.Metric) == 0 })
}

// hiddenLabel returns the index of the label that is not public; -1: there is none.
func hiddenLabel(m *dto.Metric, public *config.Public) int {
	return slices.IndexFunc(m.Label, func(l *dto.LabelPair) bool {
		tenant, name := tenantOf(l.GetValue())
		switch l.GetName() {
		case "source":
			return l.GetValue() != other && !public.Source(tenant, name) && l.GetValue() != ownSource
		case "destination":
			return l.GetValue() != other && !public.Destination(tenant, name)
		}
		return false
	})
}

// tenantOf reverses label.
func tenantOf(value string) (tenant, name string) {
	if tenant, name, ok := strings.Cut(value, "/"); ok {
		return tenant, name
	}
	return config.DefaultTenant, value
}

// foldHidden adds counters with a label that is not public to one that has `other` in its place.
func foldHidden(all []*dto.Metric, public *config.Public) []*dto.Metric {
	kept := all[:0:0]
	sums := map[string]*dto.Metric{}
	for _, m := range all {
		at := hiddenLabel(m, public)
		if at >= 0 { // the labels belong to the counter
			name, value := m.Label[at].GetName(), other
			m.Label = slices.Clone(m.Label)
			m.Label[at] = &dto.LabelPair{Name: &name, Value: &value}
		}
		key := keyOfLabels(m)
		sum := sums[key]
		if sum == nil {
			sums[key] = m
			kept = append(kept, m)
			continue
		}
		value := sum.GetCounter().GetValue() + m.GetCounter().GetValue()
		sum.Counter = &dto.Counter{Value: &value}
	}
	return kept
}

func keyOfLabels(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.Label {
		b.WriteString(l.GetName() + "\x00" + l.GetValue() + "\x00")
	}
	return b.String()
}
