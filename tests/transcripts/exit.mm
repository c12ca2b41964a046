# `exit` ends a script; the cluster, and what the script has made there, goes on.
namespace left
vm launch kvm a
.columns name vm info
exit
vm kill a
