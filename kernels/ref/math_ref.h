/*
 * math_ref.h: the elementary functions of the contracts (kernels.h), one value at a time. exp, phi, sin and
 * cos in f32 are the functions that every tier must equal bit for bit; pow and log in double are for
 * tables (rope frequencies) and sampling. Never libm: its results differ between systems.
 */
#ifndef TSR_MATH_REF_H
#define TSR_MATH_REF_H

float tsr_exp(float x);
float tsr_phi(float x);
float tsr_sin(float x);
float tsr_cos(float x);
double tsr_pow(double x, double y);
double tsr_log(double x);

#endif
