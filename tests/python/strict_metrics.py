"""Reads a page of metrics from standard input, and writes its samples as JSON. What is not OpenMetrics is an error."""
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
json.dump([[sample.name, sample.labels, sample.value] for family in families for sample in family.samples], sys.stdout)
