"""Fine-tuning: the generator on solutions, the outcome reward model on judged programs.

    config       what a run learns from, how long, how fast; values of the recipes live in recipes/
    rows         records -> rows of token ids; what does not fit becomes `Rejected`
    prepare      a stage that tokenises once, part by part; token_files: those rows in files
    corpus       rows as arrays: an index of all, and their tokens where they are taken
    batches      index -> steps x ranks x micro-batches, the same order everywhere, for ever
    loading      a step -> its tokens, packed
    packing      which examples of a step share a forward pass, under a token budget
    packed_pass  such a pass as arrays; packed_attention, family_attention: what sees what in it;
                 packed_models: the modules over it
    losses       what the classifier's margins are trained on
    models       Hugging Face models in and out, and the modules that DeepSpeed drives
    engine       DeepSpeed: its configuration, the step loop, its checkpoints
    following    numbers of every step: useful tokens/s, MFU, loss by kind; follower carries them,
                 trackers: where they go; looks: the held-out loss and AUC while training
    model_card   README.md of a finished model; hub: its upload
    generator    the generator's task: loss on the solution's tokens
    orm          the reward model's task: loss on margins, calibration and metrics at the end
    tokenizer    the tokenizer of a model made from scratch; tokenizer files of a checkpoint
    plan         sizes, memory and resources before anything starts

Nothing here knows of Ray: `codeprm.distributed.train` carries it. torch is imported inside
functions, so configurations and plans are cheap to import.
"""
