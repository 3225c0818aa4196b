"""What a person looks at: a model and tensors in, images out. One file for each kind of picture; grids.py lays them
out."""
