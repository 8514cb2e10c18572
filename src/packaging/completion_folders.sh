# Where the shells look for completions, for install.sh and uninstall.sh.
bash_folder=$PREFIX/share/bash-completion/completions
zsh_folder=$PREFIX/share/zsh/site-functions
fish_folder=$PREFIX/share/fish/vendor_completions.d
