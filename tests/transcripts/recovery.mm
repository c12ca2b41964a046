# What is done about VMs of dead hosts, and which hosts may be declared dead.
namespace red
ns recovery
ns recovery relaunch
ns recovery
ns recovery none
ns recovery
host forget mm1
host forget mm1 --fenced
host forget mm[1-2] fenced
host forget nowhere --fenced
