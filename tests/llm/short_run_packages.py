"""What the server of `short_run` imports before it forks: the packages of a training."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the packages are imported

import torch
from trl import RLOOConfig, RLOOTrainer  # noqa: F401

import mechanism.llm.runs.record
import mechanism.llm.training.train  # noqa: F401

torch.set_num_threads(1)
