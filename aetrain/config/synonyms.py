"""Other names of our keys, options and values: those of other tools and papers, and of our first generation."""

from __future__ import annotations

# Words of other tools and of papers → our key. A key without a dot is a group.
SYNONYMS = {
    word: key
    for key, words in {
        "trainer.epochs": "epoch num_epochs n_epochs n_epoch max_epochs max_epoch num_train_epochs nb_epochs "
        "total_epochs train_epochs",
        "trainer.max_steps": "steps num_steps n_steps max_iter max_iters iters num_iterations total_steps",
        "trainer.batch_size": "bs batch batch_sz train_batch_size per_device_train_batch_size "
        "per_gpu_train_batch_size minibatch mini_batch_size minibatch_size",
        "trainer.eval_batch_size": "test_batch_size val_batch_size eval_batch per_device_eval_batch_size",
        "trainer.clip_norm": "grad_clip gradient_clip gradient_clip_val clip clip_grad clip_grad_norm max_grad_norm "
        "max_norm",
        "trainer.patience": "early_stopping early_stop early_stopping_patience",
        "trainer.log_every": "log_interval log_freq log_steps logging_steps log_every_n_steps print_every print_freq",
        "trainer.checkpoint_epochs": "checkpoint_every save_every save_freq save_interval",
        "trainer.nll_samples": "importance_samples iw_samples",
        "trainer.compile": "torch_compile jit",
        "optimizer.lr": "learning_rate learningrate lrate step_size base_lr",
        "optimizer.weight_decay": "wd l2 l2_penalty decay",
        "optimizer.betas": "adam_betas",
        "optimizer.eps": "epsilon adam_eps adam_epsilon",
        "optimizer.schedule.kind": "scheduler lr_scheduler lr_schedule schedule",
        "optimizer": "optim opt optimiser",
        "logger": "loggers tracker tracking experiment_tracker",
        "model.latent_dim": "z_dim zdim dim_z z_size latent latents latent_dims latent_size latent_dimension n_latent "
        "num_latents n_latents code_size code_dim embedding_dim embed_dim bottleneck bottleneck_dim nz n_z z",
        "model.beta": "kl_weight kld_weight kl_coef kl_coeff kl_beta beta_kl kl_lambda kl_scale",
        "model.rho": "sparsity sparsity_target target_sparsity sparsity_level",
        "model.sparsity_weight": "sparsity_penalty sparsity_lambda sparsity_coef sparsity_beta l1_weight l1_coef l1",
        "model.corruption_level": "noise noise_level noise_factor noise_std noise_scale corruption_rate "
        "corruption_prob mask_ratio drop_prob",
        "model.contraction_weight": "contractive_weight contraction_lambda lam lamb lambda jacobian_weight",
        "model.likelihood": "loss loss_fn criterion reconstruction_loss recon_loss",
        "prior.components": "n_components num_components number_components pseudo_inputs n_pseudo_inputs "
        "num_pseudo_inputs pseudoinputs",
        "net": "arch architecture network backbone",
        "net.hidden": "hidden_dim hidden_dims hidden_size hidden_sizes hidden_units hidden_layers n_hidden "
        "num_hidden h_dim dim_h layer_sizes layers encoder_layers encoder_dims hiddens",
        "net.channels": "n_channels num_channels filters n_filters num_filters conv_channels",
        "net.activation": "act act_fn activation_fn activation_function nonlinearity",
        "data": "dataset data_set",
        "data.path": "dir directory image_dir img_dir images_dir image_folder img_folder",
        "data.root": "data_dir data_path datadir dataroot dataset_dir",
        "data.size": "image_size img_size im_size resolution",
        "data.limit": "max_samples n_samples num_samples subset limit_train limit_train_batches n_train num_train "
        "train_size",
        "data.val_size": "val_split validation_size validation_split val_fraction n_val",
        "data.binarization": "binarize binarized binary",
        "seed": "random_seed rng_seed manual_seed",
        "device": "gpu gpus num_gpus n_gpu n_gpus devices cuda use_cuda use_gpu accelerator",
        "device.index": "gpu_id gpu_index device_id device_index cuda_device",
        "device.precision": "amp use_amp fp16 bf16 half mixed_precision autocast dtype",
        "device.threads": "workers num_workers n_workers num_threads n_threads n_jobs cores cpus",
        "hydra.run.dir": "output_dir out_dir outdir output out save_dir log_dir logdir run_dir",
        "init": "pretrained from_pretrained pretrained_path pretrained_weights weights init_from "
        "init_weights warm_start",
        "debug": "dry_run fast_dev_run smoke_test",
        "resume": "checkpoint ckpt checkpoint_path ckpt_path restore resume_from load_from load",
    }.items()
    for word in words.split()
}
# Group or key → a value's other names → ours, the first that fits.
VALUES = {
    "device": {"gpu": "cuda", "nvidia": "cuda", "none": "cpu"},
    "model": {
        "autoencoder": "ae", "denoising": "dae", "denoising_ae": "dae", "contractive_ae": "contractive", "cae":
        "contractive", "sparse_ae": "sparse", "sae": "sparse", "bvae": "beta_vae", "b_vae": "beta_vae",
        "variational": "vae", "k_sparse": "sparse",
    },
    "prior": {"vampprior": "vamp", "vamp_prior": "vamp", "gaussian": "normal", "standard": "normal",
              "standard_normal": "normal", "gmm": "mixture", "mog": "mixture"},
    "net": {"cnn": "conv", "conv2d": "conv", "convolutional": "conv", "fc": "mlp", "dense": "mlp", "none": "linear"},
    "data": {
        "cifar": "cifar10", "cifar_10": "cifar10", "fashion": "fashion_mnist", "fmnist": "fashion_mnist",
        "custom": "folder", "images": "folder", "imagefolder": "folder", "image_folder": "folder",
        "numpy": "array", "npy": "array", "npz": "array",
    },
    "task": {
        "eval": "evaluate", "test": "evaluate", "validate": "evaluate", "val": "evaluate", "score": "evaluate",
        "generate": "sample", "gen": "sample", "predict": "reconstruct", "encode": "embed", "embeddings": "embed",
        "visualize": "inspect", "visualise": "inspect", "viz": "inspect", "plot": "inspect", "fit": "train",
        "run": "train", "start": "train", "onnx": "export", "demo": "explore", "nearest": "retrieve",
        "detect": "anomaly",
    },
    "debug": {"true": "fast", "1": "fast", "on": "fast"},
    "optimizer": {"l_bfgs": "lbfgs", "bfgs": "lbfgs"},
    "device.precision": {
        "16": "fp16", "float16": "fp16", "half": "fp16", "fp16_mixed": "fp16", "16_mixed": "fp16", "bfloat16": "bf16",
        "bf16_mixed": "bf16", "mixed": "bf16", "32": "fp32", "float32": "fp32", "full": "fp32", "single": "fp32",
        "true": "bf16", "1": "bf16",
    },
    "model.likelihood": {
        "mse": "squared_error", "l2": "squared_error", "mse_loss": "squared_error",
        "bce": "bernoulli", "binary_cross_entropy": "bernoulli", "cross_entropy": "bernoulli", "normal": "gaussian",
        "cb": "continuous_bernoulli", "logistic": "discretized_logistic", "discrete_logistic": "discretized_logistic",
    },
    "model.output": {"linear": "identity", "none": "identity"},
    "model.code_activation": {"linear": "identity", "none": "identity"},
    "data.binarization": {"true": "dynamic", "1": "dynamic", "false": "none"},
    "optimizer.schedule.kind": {"warmup": "linear", "none": "constant"},
}  # fmt: skip
# Words of a task on a trained model → its key.
ON_RUN = {
    word: key
    for key, words in {
        "n": "num num_samples n_samples samples number count",
        "run": "checkpoint ckpt checkpoint_path ckpt_path run_dir run_path model_path load load_from weights folder",
    }.items()
    for word in words.split()
}
# First words that are no task → what to type; {} is what follows.
COMMANDS = {
    "resume": "aetrain resume={}",
    "continue": "aetrain resume={}",
    "restart": "aetrain resume={}",
    "list": "aetrain runs",
    "ls": "aetrain runs",
    "show": "aetrain runs",
    "help": "aetrain --help",
    "version": "aetrain --version",
}
# Keys that have moved since the first generation, with their new place.
MOVED = {
    "model.arch": "net=linear, net=mlp or net=conv",
    "model.hidden": "net.hidden",
    "model.channels": "net.channels",
    "model.activation": "net.activation",
    "model.weight_decay": "model.l2_weight",
    "model.schedule.weight_decay": "model.schedule.l2_weight",
}
