"""Solutions -> a generator: fine-tune a StarCoder2, or make a small one from scratch.

python jobs/train_generator.py --data runs/annotated --out runs/generator --recipe starcoder2_3b
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.cli import run
from codeprm.places import Place
from codeprm.training.config import Following
from codeprm.training.overrides import GeneratorOverrides
from codeprm.training.sample_options import SampleOptions


@dataclass(frozen=True, kw_only=True)
class Args:
    """Fine-tune a generator on the solutions of a dataset directory."""

    data: Place
    """Dataset directory with the solutions."""
    out: Place
    """Directory of the checkpoint to write, local path or URI."""
    recipe: str = "starcoder2_3b"
    """Recipe that the settings come from; the flags below replace single ones."""
    dry_run: bool = False
    """Print the plan, sizes and resources; train nothing."""
    gpu: str = ""
    """With --dry-run: whether a worker fits this GPU (h100-80, h200, ...), and what would."""
    push_to_hub: str = ""
    """Repository on the Hugging Face Hub that the finished model is uploaded to."""
    public: bool = False
    """Make that repository public, if it is new."""
    following: Following = field(default_factory=Following)
    sampling: SampleOptions = field(default_factory=SampleOptions)
    overrides: GeneratorOverrides = field(default_factory=GeneratorOverrides)


def main(args: Args) -> None:
    from codeprm.recipes.training import generator_setup
    from codeprm.training.plan import plan_generator

    setup = args.overrides.apply(generator_setup(args.recipe))
    if args.dry_run:
        print("\n".join(plan_generator(args.data, setup, args.gpu).lines()))
        return
    from codeprm.distributed.train import train_generator

    train_generator(
        data=args.data,
        out=args.out,
        config=setup.config,
        scaling=setup.scaling,
        following=args.following,
        sampling=args.sampling,
    )
    if args.push_to_hub:
        from codeprm.training.hub import push_to_hub

        push_to_hub(args.out, args.push_to_hub, is_private=not args.public)


if __name__ == "__main__":
    run(main, Args)
