# a cluster with nothing wrong
doctor
# VMs and private bridges are no reason for findings
namespace red
ns add-hosts mm[0-1]
ns bridge lan
vm config net lan,LAN
vm launch kvm a,b
vm start all
doctor
.json true doctor
doctor --repair
doctor repair without mm3
doctor --repair without mm[7-9]
doctor --repair --yes
