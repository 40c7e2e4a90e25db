"""The architectures that a browser may choose from: torchvision 0.24's classifiers, by family."""

FAMILIES = {
    "alexnet": ("",),
    "convnext_": ("tiny", "small", "base", "large"),
    "densenet": ("121", "161", "169", "201"),
    "efficientnet_": ("b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "v2_s", "v2_m", "v2_l"),
    "googlenet": ("",),
    "inception_v3": ("",),
    "maxvit_t": ("",),
    "mnasnet": ("0_5", "0_75", "1_0", "1_3"),
    "mobilenet_": ("v2", "v3_small", "v3_large"),
    "regnet_x_": ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf"),
    "regnet_y_": ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf", "128gf"),
    "resnet": ("18", "34", "50", "101", "152"),
    "resnext": ("50_32x4d", "101_32x8d", "101_64x4d"),
    "shufflenet_v2_": ("x0_5", "x1_0", "x1_5", "x2_0"),
    "squeezenet": ("1_0", "1_1"),
    "swin_": ("t", "s", "b", "v2_t", "v2_s", "v2_b"),
    "vgg": ("11", "11_bn", "13", "13_bn", "16", "16_bn", "19", "19_bn"),
    "vit_": ("b_16", "b_32", "l_16", "l_32", "h_14"),
    "wide_resnet": ("50_2", "101_2"),
}
ARCHITECTURES = tuple(f"{family}{member}" for family, members in FAMILIES.items() for member in members)
DEFAULT_ARCHITECTURE = "resnet18"
