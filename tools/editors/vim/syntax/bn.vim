" Highlighting of .bn files; written by scripts/generate_docs.py.
if exists('b:current_syntax')
  finish
endif

syntax keyword bnControl else if in repeat return
syntax keyword bnOperator and or not
syntax keyword bnConstant true false inf nan
syntax keyword bnType f32 i32
syntax match bnDeclaration /^\s*\zs\<\%(block\|network\|train\)\>\ze\s\+\h/
syntax match bnStatement /^\s*\zs\<\%(gradient\|objective\|parameter\|state\|update\)\>\ze\s\+\h/
syntax match bnCall /\<\h\w*\ze\s*(/
syntax match bnArgument /\<\h\w*\ze\s*==\@!/
syntax match bnNumber /\<\d\+\%(\.\.\@!\d*\)\?\%([eE][+-]\?\d\+\)\?/
syntax match bnOpLinearLayers /\<\%(matmul\|dense\|conv2d\|conv1d\|conv2d_transpose\|convolution\|convolution_input_gradient\|convolution_weight_gradient\|bias\|border_bias\)\>\ze\s*(/
highlight default link bnOpLinearLayers bnOp
syntax match bnOpPooling /\<\%(max_pool\|average_pool\|global_average_pool\|global_max_pool\|max_pool_index\)\>\ze\s*(/
highlight default link bnOpPooling bnOp
syntax match bnOpNormalization /\<\%(batch_norm\|layer_norm\|rms_norm\|group_norm\|instance_norm\|standardize\|min_max_normalize\|preprocess\|moments\|normalize\|scale_shift\)\>\ze\s*(/
highlight default link bnOpNormalization bnOp
syntax match bnOpActivations /\<\%(relu\|leaky_relu\|elu\|sigmoid\|tanh\|softplus\|gelu\|hard_sigmoid\|hard_swish\|prelu\|clip\|softmax\|log_softmax\)\>\ze\s*(/
highlight default link bnOpActivations bnOp
syntax match bnOpArithmetic /\<\%(add\|sub\|mul\|div\|maximum\|neg\|abs\|exp\|log\|erf\|sqrt\|rsqrt\|one_minus_power\|trust_ratio\|learning_rate\)\>\ze\s*(/
highlight default link bnOpArithmetic bnOp
syntax match bnOpReductions /\<\%(reduce_sum\|reduce_mean\|reduce_max\|argmax\|element_count\)\>\ze\s*(/
highlight default link bnOpReductions bnOp
syntax match bnOpShapes /\<\%(reshape\|flatten\|broadcast_to\|transpose\|slice\|concat\|pad\|resize\|interpolate\|one_hot\)\>\ze\s*(/
highlight default link bnOpShapes bnOp
syntax match bnOpRandom /\<\%(dropout\)\>\ze\s*(/
highlight default link bnOpRandom bnOp
syntax match bnOpLosses /\<\%(softmax_cross_entropy\|softmax_cross_entropy_with_probabilities\|kl_divergence\|multi_class_hinge\|mean_squared_error\|mean_absolute_error\|huber\|binary_cross_entropy_with_logits\|hinge\)\>\ze\s*(/
highlight default link bnOpLosses bnOp
syntax match bnOpSources /\<\%(input\|parameter\|state\|constant\)\>\ze\s*(/
highlight default link bnOpSources bnOp
syntax match bnOpPartsOfGradients /\<\%(moments_gradient\|batch_norm_gradient_sums\|batch_norm_input_gradient\|relu_gradient\|abs_gradient\|leaky_relu_gradient\|elu_gradient\|gelu_gradient\|hard_sigmoid_gradient\|hard_swish_gradient\|prelu_gradient\|clip_gradient\|reduce_max_gradient\|slice_gradient\|max_pool_gradient\|average_pool_gradient\|interpolate_gradient\)\>\ze\s*(/
highlight default link bnOpPartsOfGradients bnOp
syntax match bnComment /#.*$/ contains=@Spell

highlight default link bnControl Conditional
highlight default link bnOperator Operator
highlight default link bnConstant Constant
highlight default link bnType Type
highlight default link bnDeclaration Structure
highlight default link bnStatement Statement
highlight default link bnCall Identifier
highlight default link bnArgument Label
highlight default link bnNumber Number
highlight default link bnComment Comment
highlight default link bnOp Function

let b:current_syntax = 'bn'
