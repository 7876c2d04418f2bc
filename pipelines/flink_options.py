"""`flink_options` declares the options of Flink's job server, which Beam in Python learns only from a running one.

So they are known before a job is submitted: a mistyped option is refused, and a right one isn't called unparseable.

Source: the interfaces FlinkPipelineOptions, PortablePipelineOptions and their like of Beam 2.70's job server (`javap`).
"""

import argparse
import contextlib
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

__all__ = ["FlinkStreamingOptions", "SubmissionOptions"]

_WHOLE = (
    "checkpointing_interval",
    "checkpoint_timeout_millis",
    "min_pause_between_checkpoints",
    "num_concurrent_checkpoints",
    "shutdown_sources_after_idle_ms",
    "number_of_execution_retries",
    "job_check_interval_in_secs",
    "execution_retry_delay",
    "max_bundle_size",
    "max_bundle_time_mills",
    "latency_tracking_interval",
    "auto_watermark_interval",
    "file_input_split_max_size_m_b",
    "environment_expiration_millis",
    "metrics_push_period",
    "metrics_graphite_port",
)
_BOOLEANS = (
    "fail_on_checkpointing_errors",
    "unaligned_checkpoint_enabled",
    "force_unaligned_checkpoint_enabled",
    "attached_mode",
    "object_reuse",
    "operator_chaining",
    "disable_metrics",
    "externalized_checkpoints_enabled",
    "retain_externalized_checkpoints_on_cancellation",
    "allow_non_restored_state",
    "auto_balance_write_files_sharding_enabled",
    "re_iterable_group_by_key_result",
    "faster_copy",
    "enable_stable_input_drain",
    "force_slot_sharing_group",
    "use_data_stream_for_batch",
    "load_balance_bundles",
    "enable_heap_dumps",
    "retain_docker_containers",
)
_TEXTS = (
    "checkpointing_mode",
    "state_backend",
    "state_backend_storage_path",
    "state_backend_factory",
    "execution_mode_for_batch",
    "savepoint_path",
    "report_checkpoint_duration",
    "flink_conf_dir",
    "output_executable_path",
    "semi_persist_dir",
    "metrics_sink",
    "metrics_http_sink_url",
    "metrics_graphite_host",
    "remote_heap_dump_location",
)


class FlinkStreamingOptions(PipelineOptions):
    """Options of Flink's job server, by its own names."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        def add(name: str, **how: Any) -> None:
            with contextlib.suppress(argparse.ArgumentError):  # a Beam that knows it by itself
                parser.add_argument(f"--{name}", help="An option of Flink's job server.", **how)

        for name in _WHOLE:
            add(name, type=int)
        for name in _BOOLEANS:
            add(name, nargs="?", const="true")
        for name in _TEXTS:
            add(name)


class SubmissionOptions(PipelineOptions):
    """How long whoever submits waits for the cluster."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--start_timeout_seconds",
            type=float,
            default=60.0,
            help="Seconds until all tasks of a job must run, once Flink knows it; else it is cancelled there.",
        )
