"""The lines of files into Elasticsearch; a line that is stored already isn't stored again.

python examples/beam/lines_to_elasticsearch.py 'logs/*.txt' INDEX [--hosts HOST:PORT] [options of Beam]
"""

import argparse

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from penstock.io.elasticsearch import WriteToElasticsearch


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", help="a file, or a pattern in quotes")
    parser.add_argument("index")
    parser.add_argument("--hosts", default="localhost:9200")
    given, of_beam = parser.parse_known_args()
    with beam.Pipeline(options=PipelineOptions(of_beam)) as pipeline:
        lines = pipeline | beam.io.ReadFromText(given.files)
        _ = lines | WriteToElasticsearch(hosts=given.hosts, index=given.index, ids="content")


if __name__ == "__main__":
    main()
